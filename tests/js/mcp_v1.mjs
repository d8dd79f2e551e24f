// Visits an MCP endpoint with the first generation of the official SDK (up to protocol 2025-11-25).
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { visit } from './visit.mjs';

const { url, stdio, plan } = JSON.parse(process.argv[2]);
const client = new Client({ name: 'outside-tests', version: '1' });
await client.connect(stdio ? new StdioClientTransport(stdio) : new StreamableHTTPClientTransport(new URL(url)));
const found = await visit(client, plan);
await client.close();
console.log(JSON.stringify(found));
