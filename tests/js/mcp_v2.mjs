// Visits an MCP endpoint with the second generation of the official SDK, in the era that `mode` names.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { visit } from './visit.mjs';

const { url, stdio, plan, mode } = JSON.parse(process.argv[2]);
const client = new Client({ name: 'outside-tests', version: '1' }, { versionNegotiation: { mode } });
await client.connect(stdio ? new StdioClientTransport(stdio) : new StreamableHTTPClientTransport(new URL(url)));
const found = await visit(client, plan);
await client.close();
console.log(JSON.stringify(found));
