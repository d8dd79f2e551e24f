// An MCP server that wants a token made out to itself; `write` wants more of it than the rest.
// Usage: guarded.mjs (on a free port, which it prints; its issuer is told with POST /issuer). GET /seen tells what it was shown.

import { createServer } from "node:http";

import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { z } from "zod";

let issuer;
const seen = [];

const mcp = createMcpHandler(() => {
  const server = new McpServer({ name: "guarded", version: "1.0.0" });
  const says = (text) => async () => ({ content: [{ type: "text", text }] });
  server.registerTool("read", { description: "Reads.", inputSchema: z.object({}) }, says("read"));
  server.registerTool("write", { description: "Writes.", inputSchema: z.object({}) }, says("written"));
  return server;
});

async function guard(request) {
  const token = request.headers.get("authorization")?.replace(/^Bearer /, "");
  // What opens a stream has no body.
  const { params } = await request.clone().json().catch(() => ({}));
  const needed = params?.name === "write" ? "tools:write" : "tools:read";
  const refuse = (status, error) => {
    const challenge = `Bearer ${error}scope="${needed}", resource_metadata="${base}/.well-known/oauth-protected-resource/mcp"`;
    return new Response(null, { status, headers: { "www-authenticate": challenge } });
  };
  if (!token) return refuse(401, "");
  try {
    const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
    const { payload } = await jwtVerify(token, keys, { issuer, audience: `${base}/mcp` });
    if (!payload.scope?.split(" ").includes(needed)) return refuse(403, 'error="insufficient_scope", ');
  } catch {
    return refuse(401, 'error="invalid_token", ');
  }
  return mcp.fetch(request);
}

async function answer(request) {
  switch (new URL(request.url).pathname) {
    case "/issuer":
      issuer = await request.text();
      return new Response(null, { status: 204 });
    case "/seen":
      return Response.json(seen);
    case "/.well-known/oauth-protected-resource/mcp":
      return Response.json({ resource: `${base}/mcp`, authorization_servers: [issuer], scopes_supported: ["tools:read"] });
    case "/mcp":
      seen.push(Object.fromEntries(request.headers));
      return guard(request);
    default:
      return new Response(null, { status: 404 });
  }
}

const http = createServer(async (incoming, outgoing) => {
  const pieces = [];
  for await (const piece of incoming) pieces.push(piece);
  const sent = pieces.length ? Buffer.concat(pieces) : undefined;
  const response = await answer(new Request(base + incoming.url, { method: incoming.method, headers: incoming.headers, body: sent }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  // A stream ends with whoever reads it.
  const body = response.body?.getReader();
  outgoing.on("close", () => body?.cancel().catch(() => {}));
  for (let next = await body?.read(); next && !next.done; next = await body.read()) outgoing.write(next.value);
  outgoing.end();
});
await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
const base = `http://127.0.0.1:${http.address().port}`;
console.log(base);
