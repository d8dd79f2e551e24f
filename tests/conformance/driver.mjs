// The client that the suites judge: the router, before the suite's own server, with an official client before it. What
// the suite sees is what the router does; what the scenario wants done, the client does.
// The suite starts `driver.mjs ERA FOLDER URL`, and names the scenario in the environment.

import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [era, folder, url] = process.argv.slice(2);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");

/** Calls every tool that the router still lists, with nothing that it would have to understand. */
async function everyTool(client) {
  const { tools } = await client.listTools();
  for (const { name, inputSchema } of tools) {
    const given = Object.keys(inputSchema.properties ?? {}).map((key) => [key, "x"]);
    await client.callTool({ name, arguments: Object.fromEntries(given) });
  }
}

/** Everything that a modern request can name in a header. */
async function everything(client) {
  await everyTool(client);
  const { resources } = await client.listResources();
  for (const { uri } of resources) await client.readResource({ uri });
  const { prompts } = await client.listPrompts();
  for (const { name } of prompts) await client.getPrompt({ name });
}

/** Uses a server that people have to sign in to. */
async function guarded(client) {
  await allowed(() => client.listTools());
  await allowed(() => client.callTool({ name: "test-tool", arguments: {} }));
}

// Where a person begins to sign in, as the router tells it in errors and results.
const START = /http:\/\/[\w.:[\]]+\/oauth\/start\?state=[\w-]+/;
// As often as this one question may need a person.
const VISITS = 3;

/** Asks, and does what needs a person: opens the address that a refusal names, and asks again. */
async function allowed(ask) {
  const visited = [];
  for (;;) {
    const told = await ask().catch((error) => error);
    const start = START.exec(JSON.stringify([told.message, told.data, told.content]))?.[0];
    if (!start && (told instanceof Error || told.isError)) throw told.isError ? new Error(JSON.stringify(told)) : told;
    if (!start) return told;
    if (visited.includes(start)) {
      // The router has not connected anew yet.
      await new Promise((resolve) => setTimeout(resolve, 100));
      continue;
    }
    if (visited.push(start) > VISITS) throw told;
    await person(start);
  }
}

/** A person with a browser: agrees on the router's page, signs in where that leads, and comes back with its cookies. */
async function person(start) {
  const cookies = [];
  let page = await fetch(start, { method: "POST", redirect: "manual" });
  for (let at = start; page.status >= 300 && page.status < 400; ) {
    cookies.push(...page.headers.getSetCookie().map((cookie) => cookie.split(";")[0]));
    at = new URL(page.headers.get("location"), at).href;
    const home = new URL(at).origin === new URL(start).origin;
    page = await fetch(at, { redirect: "manual", headers: home ? { cookie: cookies.join("; ") } : {} });
  }
  if (!page.ok) throw new Error(await page.text());
}

const SCENARIOS = {
  initialize: (client) => client.listTools(),
  tools_call: (client) => client.callTool({ name: "add_numbers", arguments: { a: 5, b: 3 } }),
  "elicitation-sep1034-client-defaults": (client) => client.callTool({ name: "test_client_elicitation_defaults" }),
  "sse-retry": (client) => client.callTool({ name: "test_reconnection" }),
  "request-metadata": async (client) => {
    await client.listTools();
    await client.callTool({ name: "any" });
  },
  "sep-2322-client-request-state": everyTool,
  "http-standard-headers": everything,
  "http-invalid-tool-headers": everyTool,
  "http-custom-headers": async (client) => {
    for (const call of context.toolCalls) await client.callTool(call);
  },
  "json-schema-ref-no-deref": (client) => client.listTools(),
  "json-schema-2020-12-preservation": async (client) => {
    const { tools } = await client.listTools();
    const { inputSchema } = tools.find(({ name }) => name === "json_schema_2020_12_tool");
    await client.callTool({ name: "json_schema_echo", arguments: { schema: inputSchema } });
  },
};

/** How the router signs in, where the scenario is about a client that was registered or described by hand. */
function auth() {
  switch (scenario) {
    case "auth/basic-cimd":
      return { auth: { client_id: "https://conformance-test.local/client-metadata.json" } };
    case "auth/pre-registration":
      return { auth: { client_id: context.client_id, client_secret: context.client_secret } };
    case "auth/client-credentials-basic":
      return { auth: { grant: "client_credentials", client_id: context.client_id, client_secret: context.client_secret } };
    case "auth/client-credentials-jwt":
      return { auth: { grant: "client_credentials", client_id: context.client_id, private_key: context.private_key_pem } };
    default:
      return {};
  }
}

/** Starts the router before the suite's server; its process, and the address it listens on. */
async function startRouter() {
  const home = join(folder, scenario.replaceAll("/", "-"));
  mkdirSync(home, { recursive: true });
  const config = join(home, "router.yaml");
  writeFileSync(config, JSON.stringify({ mcpServers: { judge: { url, ...auth() } }, egress: { allow_private: ["localhost"] } }));
  const environment = { PATH: process.env.PATH, HOME: home, XDG_STATE_HOME: home };
  const router = spawn(process.env.MCP_ROUTER_BIN, ["--listen", "127.0.0.1:0", "--config", config], {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: router.stdout })) {
    return { router, address: line.replace("listening on ", "") };
  }
  throw new Error("the router does not start");
}

/** A client that can be asked, and answers with what the schema gives by default. */
async function connect(address) {
  const mode = era === "modern" ? { pin: "2026-07-28" } : "legacy";
  const client = new Client(
    { name: "conformance-driver", version: "1" },
    { versionNegotiation: { mode }, capabilities: { elicitation: { form: { applyDefaults: true }, url: {} } } },
  );
  client.setRequestHandler("elicitation/create", async (request) => {
    if (request.params.mode === "url") {
      await person(request.params.url);
      return { action: "accept" };
    }
    const asked = Object.keys(request.params.requestedSchema.properties);
    return { action: "accept", content: asked.includes("confirmed") ? { confirmed: true } : {} };
  });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${address}/mcp/judge`)));
  return client;
}

const { router, address } = await startRouter();
let failure;
try {
  const client = await connect(address);
  await (SCENARIOS[scenario] ?? guarded)(client);
  await client.close();
} catch (error) {
  failure = error;
}
router.kill("SIGTERM");
await new Promise((resolve) => router.once("exit", resolve));
if (failure) console.error(failure);
process.exit(failure ? 1 : 0);
