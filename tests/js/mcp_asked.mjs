// Calls tools that ask back, with either generation of the official SDK; answers as `answers` says. The first generation
// also speaks the transport of 2024-11-05 (`sse`).
const { url, calls, generation, mode, answers, capabilities, sse } = JSON.parse(process.argv[2]);

const asked = [];
const replies = {
  'elicitation/create': ({ message }) => answers[message] ?? answers.elicitation,
  'sampling/createMessage': () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: answers.sampling } }),
  'roots/list': () => ({ roots: answers.roots.map((uri) => ({ uri })) }),
};
const reply = (method) => async ({ params }) => {
  asked.push(method);
  return replies[method](params ?? {});
};

async function connected() {
  const who = { name: 'outside-tests', version: '1' };
  if (generation === 1) {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
    const schemas = await import('@modelcontextprotocol/sdk/types.js');
    const client = new Client(who, { capabilities });
    if (capabilities.elicitation) client.setRequestHandler(schemas.ElicitRequestSchema, reply('elicitation/create'));
    if (capabilities.sampling) client.setRequestHandler(schemas.CreateMessageRequestSchema, reply('sampling/createMessage'));
    if (capabilities.roots) client.setRequestHandler(schemas.ListRootsRequestSchema, reply('roots/list'));
    const { SSEClientTransport } = await import('@modelcontextprotocol/sdk/client/sse.js');
    await client.connect(new (sse ? SSEClientTransport : StreamableHTTPClientTransport)(new URL(url)));
    return client;
  }
  const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const client = new Client(who, { capabilities, versionNegotiation: { mode } });
  for (const method of Object.keys(replies)) {
    if (capabilities[method.split('/')[0]]) client.setRequestHandler(method, reply(method));
  }
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  return client;
}

const client = await connected();
const results = [];
for (const name of calls) {
  try {
    const result = await client.callTool({ name, arguments: {} });
    results.push({ text: result.content.map(({ text }) => text ?? '').join(''), failed: result.isError === true });
  } catch (error) {
    results.push({ text: error.message, failed: true });
  }
}
await client.close();
console.log(JSON.stringify({ results, asked }));
