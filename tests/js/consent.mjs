// A client whose calls may need somebody to open an address first. Each line of its input is `{ call }`, or `{ visited }` when
// somebody was there; each line of its output is `{ visit }` or what came of the call.
import readline from 'node:readline';

const { url, key, generation, mode } = JSON.parse(process.argv[2]);
const who = { name: 'outside-tests', version: '1' };
const options = { capabilities: { elicitation: { url: {} } }, versionNegotiation: { mode } };
const headers = { authorization: `Bearer ${key}` };

const { Client } = await import(generation === 1 ? '@modelcontextprotocol/sdk/client/index.js' : '@modelcontextprotocol/client');
const { StreamableHTTPClientTransport } = await import(
  generation === 1 ? '@modelcontextprotocol/sdk/client/streamableHttp.js' : '@modelcontextprotocol/client',
);
const client = new Client(who, options);
let tell;
// What a modern client's question waits for; a legacy client is refused, and has to call again.
let visited;
if (mode !== 'legacy') {
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    tell({ visit: params.url, message: params.message });
    await new Promise((resolve) => (visited = resolve));
    return { action: 'accept' };
  });
}
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));

let name;
const call = () =>
  client.callTool({ name, arguments: {} }).then(
    ({ content, isError }) => tell({ text: content.map(({ text }) => text ?? '').join(''), failed: isError === true }),
    (error) => {
      const [visit] = error.code === -32042 ? error.data.elicitations : [];
      tell(visit ? { visit: visit.url, message: visit.message } : { text: error.message, failed: true });
    },
  );

for await (const line of readline.createInterface({ input: process.stdin })) {
  const ask = JSON.parse(line);
  const told = new Promise((resolve) => (tell = resolve));
  name = ask.call ?? name;
  if (ask.visited && visited) visited();
  else call();
  console.log(JSON.stringify(await told));
}
