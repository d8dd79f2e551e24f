// A real authorization server: OpenID's reference implementation for Node, with forms to sign in and to consent.
// Usage: authority.mjs RESOURCE_PORT TOKEN_SECONDS (on a free port; prints its issuer). GET /seen tells what it was asked.

import { createServer } from "node:http";

import Provider from "oidc-provider";

const [resourcePort, seconds] = process.argv.slice(2);
const resource = `http://127.0.0.1:${resourcePort}/mcp`;
const seen = [];

const http = createServer((request, response) => {
  const path = new URL(request.url, "http://x").pathname;
  if (path === "/seen") return response.end(JSON.stringify(seen));
  seen.push(`${request.method} ${path}`);
  return provider.callback()(request, response);
});
await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${http.address().port}`;

const provider = new Provider(issuer, {
  scopes: ["openid", "offline_access", "tools:read", "tools:write"],
  clients: [
    {
      client_id: "robot",
      client_secret: "robot-secret-canary",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
  ],
  features: {
    registration: { enabled: true },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, indicator) => {
        if (indicator !== resource) throw new Error("no such resource");
        return { scope: "tools:read tools:write", audience: resource, accessTokenFormat: "jwt", accessTokenTTL: Number(seconds) };
      },
    },
  },
  rotateRefreshToken: true,
});
console.log(issuer);
