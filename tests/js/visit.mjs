// What a visit to an MCP endpoint finds, told the same way whatever the client: lists, calls, a resource, a prompt.
export async function visit(client, { calls, resource, prompt }) {
  const tools = (await client.listTools()).tools.map(({ name }) => name);
  const results = [];
  for (const { name, arguments: given } of calls) {
    try {
      const result = await client.callTool({ name, arguments: given });
      results.push({ text: result.content.map(({ text }) => text ?? '').join(''), failed: result.isError === true });
    } catch (error) {
      results.push({ text: error.message, failed: true });
    }
  }
  const found = { tools, results };
  if (resource) {
    const { resources } = await client.listResources();
    const uri = resources.map(({ uri }) => uri).find((uri) => uri.endsWith(resource));
    found.resource = (await client.readResource({ uri })).contents[0].text;
  }
  if (prompt) {
    found.prompts = (await client.listPrompts()).prompts.map(({ name }) => name);
    found.prompt = (await client.getPrompt({ name: prompt })).messages[0].content.text;
  }
  return found;
}
