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

/** Starts the router before the suite's server; its process, and the address it listens on. */
async function startRouter() {
  const home = join(folder, scenario.replaceAll("/", "-"));
  mkdirSync(home, { recursive: true });
  const config = join(home, "router.yaml");
  writeFileSync(config, JSON.stringify({ mcpServers: { judge: { url } } }));
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
    { versionNegotiation: { mode }, capabilities: { elicitation: { form: { applyDefaults: true } } } },
  );
  client.setRequestHandler("elicitation/create", (request) => {
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
  await SCENARIOS[scenario](client);
  await client.close();
} catch (error) {
  failure = error;
}
router.kill("SIGTERM");
await new Promise((resolve) => router.once("exit", resolve));
if (failure) console.error(failure);
process.exit(failure ? 1 : 0);
