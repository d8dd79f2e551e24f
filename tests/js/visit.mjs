// What a visit to an MCP endpoint finds, told the same way whatever the client: lists, calls, a resource, a prompt.
export async function visit(client, { calls, resource, prompt }) {
  const tools = await listed(client, calls);
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

// Lists the tools; again, where one is missing that the plan calls, as servers may still be starting.
async function listed(client, calls) {
  const called = calls.map(({ name }) => name).filter((name) => !name.endsWith('no-such-tool'));
  let tools = [];
  for (let tries = 0; tries < 30; tries += 1) {
    tools = (await client.listTools()).tools.map(({ name }) => name);
    if (called.every((name) => tools.includes(name))) break;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  return tools;
}
