// What each client of the matrix does with each server: the twin of matrix.py, by either generation of the official SDK.
const { url, generation, mode, plan, patience } = JSON.parse(process.argv[2]);

const NAME = { action: 'accept', content: { name: 'Ann' } };
const who = { name: 'outside-tests', version: '1' };
const capabilities = { elicitation: {} };

async function connected(path) {
  const address = new URL(url + path);
  if (generation === 1) {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
    const { ElicitRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
    const client = new Client(who, { capabilities });
    client.setRequestHandler(ElicitRequestSchema, async () => NAME);
    await client.connect(new StreamableHTTPClientTransport(address));
    return { client, call: (what, options) => client.callTool(what, undefined, options) };
  }
  const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const client = new Client(who, { capabilities, versionNegotiation: { mode } });
  client.setRequestHandler('elicitation/create', async () => NAME);
  await client.connect(new StreamableHTTPClientTransport(address));
  return { client, call: (what, options) => client.callTool(what, options) };
}

async function visit({ path, call, error, progress, cancel, asks }) {
  const { client, call: ask } = await connected(path);
  const said = async ([name, given], options) => {
    try {
      const result = await ask({ name, arguments: given }, options);
      return [result.isError === true, result.content.map(({ text }) => text ?? '').join('')];
    } catch (failure) {
      return [true, failure.message];
    }
  };
  const found = { tools: (await client.listTools()).tools.map(({ name }) => name) };
  found.call = await said(call);
  found.error = await said(error);
  if (progress) {
    const ticks = [];
    found.progress = [...(await said(progress, { onprogress: (tick) => ticks.push(tick.progress) })), ticks];
  }
  if (cancel) {
    const given = new AbortController();
    setTimeout(() => given.abort(new Error('cancelled')), patience * 1000);
    const [failed, text] = await said(cancel, { signal: given.signal });
    found.cancel = failed && /cancel|abort/i.test(text) ? 'CancelledError' : text;
    found.after = await said(call);
  }
  if (asks) found.asks = await said(asks);
  await client.close();
  return found;
}

console.log(JSON.stringify(await Promise.all(plan.map(visit))));
