import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Either } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { TestCa } from "../../test/fixtures/Certificates.ts"
import { type ConfigOverride, loadConfig, readConfig } from "./ConfigFile.ts"
import type { ConfigError } from "./ConfigProblem.ts"
import type { NodeConfig } from "./NodeConfig.ts"

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "skein-config-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const load = (
  text: string,
  name = "skein.yaml",
  overrides: ReadonlyArray<ConfigOverride> = []
): Promise<Either.Either<NodeConfig, ConfigError>> => {
  writeFileSync(join(directory, name), text)
  return Effect.runPromise(Effect.either(loadConfig(join(directory, name), overrides)))
}

/** Problems without the directory, one per line of the message. */
const problems = async (text: string, name?: string): Promise<ReadonlyArray<string>> => {
  const result = await load(text, name)
  if (Either.isRight(result)) return []
  return result.left.message.split("\n").map((line) => line.replace(`${directory}/`, ""))
}

const valid = async (text: string, name?: string, overrides?: ReadonlyArray<ConfigOverride>) =>
  Either.getOrThrowWith(await load(text, name, overrides), (error) => error)

describe("a config that is right", () => {
  it("an empty file means every default", async () => {
    const config = await valid("")
    expect(config.admin).toEqual({ listen: { host: "127.0.0.1", port: 4191 }, allowRemote: false })
    expect(config.outbound.http).toEqual({
      listen: { host: "127.0.0.1", port: 4140 },
      allowRemote: false
    })
    expect(config.node.listen).toEqual(["/ip4/0.0.0.0/tcp/4001"])
    expect(config.drain.deadline).toBe(30_000)
    expect(config.telemetry).toEqual({ sample: 0.01, accessLog: "off" })
  })

  it("reads addresses, durations and policies into typed values", async () => {
    const config = await valid(`
services:
  - name: payments
    address: "[::1]:8081"
    health: { http: { path: /healthz, interval: 500ms } }
  - { name: ledger, addresses: ["127.0.0.1:1", "db.internal:2"], protocol: tcp, weight: 7 }
upstreams:
  - { service: ledger-db, listen: localhost:5433 }
policies:
  payments: { timeout: { request: 2s }, retry: off }
`)
    expect(config.services).toEqual([
      {
        name: "payments",
        protocol: "http",
        health: { http: { path: "/healthz", interval: 500, timeout: 1_000 } },
        weight: 100,
        addresses: [{ host: "::1", port: 8081 }]
      },
      {
        name: "ledger",
        protocol: "tcp",
        weight: 7,
        addresses: [
          { host: "127.0.0.1", port: 1 },
          { host: "db.internal", port: 2 }
        ]
      }
    ])
    expect(config.upstreams[0]).toEqual({
      service: "ledger-db",
      listen: { host: "localhost", port: 5433 },
      allowRemote: false,
      protocol: "tcp"
    })
    expect(Object.values(config.policies)[0]).toMatchObject({
      timeout: { request: 2_000, connect: 1_000 },
      retry: "off"
    })
  })

  it("opens to other hosts what it is told to", async () => {
    const config = await valid(`
outbound: { http: { listen: 0.0.0.0:4140, allowRemote: true } }
upstreams:
  - { service: db, listen: "[::]:5433", allowRemote: true }
`)
    const proxy = { listen: { host: "0.0.0.0", port: 4140 }, allowRemote: true }
    expect(config.outbound.http).toEqual(proxy)
    expect(config.upstreams[0]).toMatchObject({ listen: { host: "::" }, allowRemote: true })
    expect((await valid("outbound: { http: off }")).outbound.http).toBe("off")
    expect(await valid("outbound: { http: { listen: 127.0.0.1:1 } }")).toMatchObject({
      outbound: { http: { listen: { host: "127.0.0.1", port: 1 }, allowRemote: false } }
    })
  })

  it("asks name servers at port 53 unless it is told another", async () => {
    const forward = '[192.0.2.53, "192.0.2.54:5353", "2001:db8::53"]'
    expect((await valid(`dns: { forward: ${forward} }`)).dns).toMatchObject({
      forward: [
        { host: "192.0.2.53", port: 53 },
        { host: "192.0.2.54", port: 5_353 },
        { host: "2001:db8::53", port: 53 }
      ]
    })
  })

  it("takes for TCP whatever holds there", async () => {
    const policy = `{ timeout: { connect: 2s, tcpIdle: 1m }, retry: { on: [connect_failure], attempts: 4,
      bodyLimit: 1024, backoff: { base: 50ms } }, breaker: { consecutiveFailures: 2 },
      ejection: { consecutive5xx: 3 }, balance: { kind: least_request } }`
    const service = "{ name: a, address: 127.0.0.1:1, protocol: tcp }"
    await valid(`services: [${service}]\npolicies:\n  a: ${policy}\n`)
  })

  it("counts relative paths from the file, and those of overrides from the current directory", async () => {
    mkdirSync(join(directory, "sub"), { recursive: true })
    const text = "node: { dataDir: ./data }\ntelemetry: { accessLog: ./access.log }\n"
    const config = await valid(text, "sub/skein.yaml")
    expect(config.node.dataDir).toBe(join(directory, "sub/data"))
    expect(config.telemetry.accessLog).toBe(join(directory, "sub/access.log"))
    const { programs } = await valid("programs: { listen: unix:run/../p.sock }", "sub/skein.yaml")
    expect(programs).toEqual([{ listen: { path: join(directory, "sub/p.sock") } }])
    const long = `programs: { listen: "unix:${"p".repeat(90)}" }`
    expect((await problems(long)).join()).toMatch(/leaves no room for what stands behind it/)
    const moved = await valid(text, "sub/skein.yaml", [
      { path: ["node", "dataDir"], value: "elsewhere", source: "--data-dir" }
    ])
    expect(moved.node.dataDir).toBe(join(process.cwd(), "elsewhere"))
  })

  it("is the same from YAML, JSON and TypeScript", async () => {
    const input = { node: { name: "host-a", dataDir: "/d" }, admin: "127.0.0.1:5000" }
    const yaml = await valid("node: {name: host-a, dataDir: /d}\nadmin: 127.0.0.1:5000\n")
    const json = await valid(JSON.stringify(input), "skein.json")
    const script = await valid(`export default ${JSON.stringify(input)}\n`, "skein.config.mjs")
    expect(json).toEqual(yaml)
    expect(script).toEqual(yaml)
  })

  it("a changed TypeScript config is read anew", async () => {
    await valid(`export default { node: { name: "one" } }\n`, "again.mjs")
    writeFileSync(
      join(directory, "again.mjs"),
      `export default { node: { name: "two", zone: "z" } }\n`
    )
    const { utimesSync } = await import("node:fs")
    utimesSync(join(directory, "again.mjs"), 1_000, 1_000)
    const config = await Effect.runPromise(loadConfig(join(directory, "again.mjs")))
    expect(config.node.name).toBe("two")
  })

  it("anchors and merge keys work", async () => {
    const config = await valid(`
policies:
  a: &calm { timeout: { request: 9s } }
  b: { <<: *calm, retry: off }
`)
    expect(Object.values(config.policies).map(({ timeout }) => timeout.request)).toEqual([
      9_000, 9_000
    ])
  })
})

describe("a config that is right and may not be meant", () => {
  const warnings = async (text: string): Promise<ReadonlyArray<string>> => {
    const path = join(directory, "warned.yaml")
    writeFileSync(path, text)
    const { warnings } = await Effect.runPromise(readConfig(path))
    return warnings.map((line) => line.replace(`${directory}/`, ""))
  }

  it.each(["", "\n", "# node: { name: a }\n", "---\n"])("is empty: %j", async (text) => {
    expect(await warnings(text)).toEqual([
      "warned.yaml: nothing stands in it, so every default holds and no service is offered"
    ])
  })

  it("has policies that a local port does not keep to", async () => {
    const text = `
upstreams: [{ service: web, listen: 127.0.0.1:5433 }]
policies: { web: { timeout: { request: 1s } } }
`
    expect(await warnings(text)).toEqual([
      "warned.yaml: policies.web: timeout.request: not for what comes through upstreams[0] (127.0.0.1:5433), which carries TCP; write protocol: http there if web speaks it"
    ])
  })

  it.each(["{}", "node: {}"])("is not warned of when it says so: %s", async (text) => {
    expect(await warnings(text)).toEqual([])
  })
})

describe("a config that is wrong names file, line, column, the value and what was meant", () => {
  const notAddress = "write /ip4/ADDRESS/tcp/PORT or /ip6/ADDRESS/tcp/PORT"
  it.each<readonly [text: string, problem: string]>([
    ["nodes: {}", "1:1: nodes: unknown key nodes; did you mean node?"],
    [
      "policies:\n  pay:\n    retires: {}",
      "3:5: policies.pay.retires: unknown key retires; did you mean retry?"
    ],
    [
      "policies:\n  pay: { retry: { max_attempts: 1 } }",
      "2:19: policies.pay.retry.max_attempts: unknown key max_attempts; did you mean attempts?"
    ],
    [
      "telemetry: { verbosity: 1 }",
      "1:14: telemetry.verbosity: unknown key verbosity; known here: otlp, sample, accessLog"
    ],
    ["telemetry: { sample: 7 }", "1:22: telemetry.sample: 7 is not a number between 0 and 1"],
    [
      "drain: { deadline: 30 }",
      "1:20: drain.deadline: 30 is not a duration; write a number and ms, s, m, h or d, like 500ms or 2s"
    ],
    ["drain: { deadline: 1ms }", "1:20: drain.deadline: 1ms is too short; the least is 10ms"],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: htp }",
      '2:48: services[0].protocol: "htp" is not one of http, http2, grpc, tcp, auto; did you mean http?'
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: h2c }",
      '2:48: services[0].protocol: "h2c" is written http2: with prior knowledge, which is h2c without an upgrade'
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: https }",
      '2:48: services[0].protocol: "https" is written http with tls: {} beside it, of a program that only speaks TLS; tcp carries its connections as they are'
    ],
    [
      "upstreams:\n  - { service: a, listen: 127.0.0.1:1, protocol: http2 }",
      '2:50: upstreams[0].protocol: "http2" is written http, which takes HTTP/1.1 and HTTP/2 alike'
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: tcp }\nupstreams:\n  - { service: a, listen: 127.0.0.1:2, protocol: http }",
      "4:50: upstreams[0].protocol: http cannot reach a, which is tcp (services[0].protocol): every call would be refused; write tcp"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: tcp }\npolicies:\n  a: { timeout: { request: 2s } }",
      "4:28: policies.a.timeout.request: holds for HTTP only, not for a, which is tcp (services[0].protocol); leave it out (timeout.tcpIdle limits a tunnel)"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: tcp }\npolicies:\n  a: { timeout: { idle: 1m } }",
      "4:25: policies.a.timeout.idle: holds for HTTP only, not for a, which is tcp (services[0].protocol); leave it out (timeout.tcpIdle limits a tunnel)"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: tcp }\npolicies:\n  a: { retry: { on: [5xx, reset] } }",
      "4:21: policies.a.retry.on: holds for HTTP only, not for a, which is tcp (services[0].protocol); leave it out (a connection that nobody accepts is tried again all the same)"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: tcp }\npolicies:\n  a: { retry: { methods: [GET] } }",
      "4:26: policies.a.retry.methods: holds for HTTP only, not for a, which is tcp (services[0].protocol); leave it out (a connection that nobody accepts is tried again all the same)"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: tcp, policy: { timeout: { request: 2s } } }",
      "2:83: services[0].policy.timeout.request: holds for HTTP only, not for a, which is tcp (services[0].protocol); leave it out (timeout.tcpIdle limits a tunnel)"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: tcp, policy: { retry: { on: [5xx] }, timeout: { tcpIdle: 1m } } }",
      "2:76: services[0].policy.retry.on: holds for HTTP only, not for a, which is tcp (services[0].protocol); leave it out (a connection that nobody accepts is tried again all the same)"
    ],
    [
      "services:\n  - { name: a, addresses: [127.0.0.1:1, db:2, 127.0.0.1:1] }",
      "2:47: services[0].addresses[2]: 127.0.0.1:1 stands twice; it is one instance all the same"
    ],
    [
      "node: { announce: [/dns/x/tcp/1, /dns/x/tcp/1] }",
      "1:34: node.announce[1]: /dns/x/tcp/1 stands twice; once is enough"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, health: { http: {}, tcp: {} } }",
      "2:58: services[0].health.tcp: tcp does not go with the rest; known here: http"
    ],
    ["drain: { deadline: 25d }", "1:20: drain.deadline: 25d is too long; the most is 24d"],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, health: { tcp: { timeout: 0s } } }",
      "2:64: services[0].health.tcp.timeout: 0s is too short; the least is 10ms"
    ],
    ["telemetry: { sample: .nan }", "1:22: telemetry.sample: NaN is not a number between 0 and 1"],
    [
      "telemetry: { sample: -.inf }",
      "1:22: telemetry.sample: -Infinity is not a number between 0 and 1"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, weight: .inf }",
      "2:46: services[0].weight: Infinity is not an integer"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, weight: 0 }",
      "2:46: services[0].weight: 0 is not a number between 1 and 1000"
    ],
    [
      "policies:\n  a: { retry: { on: [timeout] } }",
      '2:21: policies.a.retry.on: "timeout" never happens without timeout.perTry; set it, or leave "timeout" out'
    ],
    [
      "services:\n  - { name: Pay, address: 127.0.0.1:1 }",
      "2:13: services[0].name: \"Pay\": a service name is 1–63 of a–z, 0–9 and '-', not starting or ending with '-'"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1 }",
      '2:25: services[0].address: "127.0.0.1" is not host:port, like 127.0.0.1:8081'
    ],
    [
      "services:\n  - { name: a, address: 8081 }",
      "2:25: services[0].address: 8081 is not host:port of a program, like 127.0.0.1:8081"
    ],
    [
      "services:\n  - { name: a, address: ::1:80 }",
      '2:25: services[0].address: "::1:80" is not host:port; an IPv6 address stands in brackets, like [::1]:8081'
    ],
    [
      "services:\n  - { name: a, address: 1.2.3.400:80 }",
      '2:25: services[0].address: "1.2.3.400:80" has 1.2.3.400, which is not an IPv4 address'
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:70000 }",
      '2:25: services[0].address: "127.0.0.1:70000" has port 70000; ports are 1–65535'
    ],
    ["services:\n  - name: a", "2:5: services[0]: has no address; write address: 127.0.0.1:PORT"],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, addresses: [127.0.0.1:2] }",
      "2:5: services[0]: has both address and addresses; keep one"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, health: { tpc: {} } }",
      "2:48: services[0].health.tpc: unknown key tpc; did you mean tcp?"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1 }\n  - { name: a, address: 127.0.0.1:2 }",
      '3:13: services[1].name: "a" is already services[0]; give that one more addresses, or choose another name'
    ],
    ["services:", "1:1: services: is empty; expected a list"],
    [
      "upstreams:\n  - { service: a, listen: 127.0.0.1:1 }\n  - { service: b, listen: localhost:1 }",
      "3:27: upstreams[1].listen: localhost:1 is taken by upstreams[0].listen (127.0.0.1:1); choose another port"
    ],
    [
      "upstreams:\n  - { service: a, listen: db:1 }",
      '2:27: upstreams[0].listen: "db:1" has the name db; to listen, write an IP address of this host or localhost'
    ],
    [
      "node: { listen: [/ip4/0.0.0.0/tcp/4191] }",
      "1:1: admin: 127.0.0.1:4191 is taken by node.listen[0] (0.0.0.0:4191); choose another port"
    ],
    [
      "node: { listen: [/dns/x/tcp/1] }",
      `1:18: node.listen[0]: "/dns/x/tcp/1" is not an address to listen on; ${notAddress}`
    ],
    [
      "node: { announce: [/ip4/0.0.0.0/tcp/1] }",
      '1:20: node.announce[0]: "/ip4/0.0.0.0/tcp/1" is not an address others can dial; write /ip4/ADDRESS/tcp/PORT or /dns/NAME/tcp/PORT'
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:4140 }",
      "2:25: services[0].address: 127.0.0.1:4140 is this node's own outbound.http: calls to a would run in a circle; write the address of the program itself"
    ],
    [
      "admin: 0.0.0.0:4191",
      '1:8: admin: "0.0.0.0:4191" can be reached from other hosts, and whoever reaches it controls this node; use 127.0.0.1, or write { listen: …, allowRemote: true }'
    ],
    [
      "outbound: { http: 0.0.0.0:4140 }",
      '1:19: outbound.http: "0.0.0.0:4140" can be reached from other hosts, and whoever reaches it calls services with this node\'s rights; use 127.0.0.1, or write { listen: …, allowRemote: true }'
    ],
    [
      'outbound: { http: { listen: "[2001:db8::1]:4140" } }',
      '1:19: outbound.http: {"listen":"[2001:db8::1]:4140"} can be reached from other hosts, and whoever reaches it calls services with this node\'s rights; use 127.0.0.1, or write { listen: …, allowRemote: true }'
    ],
    [
      "upstreams:\n  - { service: db, listen: 192.0.2.1:5433 }",
      '2:28: upstreams[0].listen: "192.0.2.1:5433" can be reached from other hosts, and whoever reaches it calls db with this node\'s rights; use 127.0.0.1, or write allowRemote: true beside it'
    ],
    [
      "outbound: { http: { listen: 0.0.0.0:4140, alowRemote: true } }",
      "1:43: outbound.http.alowRemote: unknown key alowRemote; did you mean allowRemote?"
    ],
    [
      "outbound: { listeners: [{ listen: 127.0.0.1:4141, as: Orders }] }",
      "1:55: outbound.listeners[0].as: \"Orders\": a service name is 1–63 of a–z, 0–9 and '-', not starting or ending with '-'"
    ],
    [
      "outbound: { listeners: [{ listen: 0.0.0.0:4141, as: orders }] }",
      '1:35: outbound.listeners[0].listen: "0.0.0.0:4141" can be reached from other hosts, and whoever reaches it speaks for orders; use 127.0.0.1, or write allowRemote: true beside it'
    ],
    [
      'outbound: { listeners: [{ listen: "unix:/run/o.sock", mode: 0660 }] }',
      '1:61: outbound.listeners[0].mode: 660 is not a mode in octal digits; write it like "0660"'
    ],
    [
      'outbound: { listeners: [{ listen: "unix:/run/o.sock", owner: "a b" }] }',
      '1:62: outbound.listeners[0].owner: "a b" is not an owner; write user, user:group or :group, by name or number'
    ],
    [
      "outbound: { listeners: [{ listen: 127.0.0.1:1, unit: orders.service }] }",
      "1:48: outbound.listeners[0].unit: unit cannot be asked: which process has a socket is for root alone to see; give the unit a user of its own and write uid, or a unix socket that no other may open (docs/identity.md)"
    ],
    [
      "upstreams: [{ service: a, listen: 127.0.0.1:1, cgroup: x }]",
      "1:48: upstreams[0].cgroup: cgroup cannot be asked: which process has a socket is for root alone to see; give the unit a user of its own and write uid, or a unix socket that no other may open (docs/identity.md)"
    ],
    [
      'outbound: { listeners: [{ listen: "unix:/run/o.sock", uid: 5 }] }',
      "1:60: outbound.listeners[0].uid: is for ports; of a unix socket its mode and its owner say who may connect, and the system sees to it"
    ],
    [
      'outbound: { listeners: [{ listen: 127.0.0.1:4141, mode: "0660" }] }',
      "1:57: outbound.listeners[0].mode: is for unix sockets; of a port write uid"
    ],
    [
      "outbound: { listeners: [{ listen: 127.0.0.1:4140 }] }",
      "1:35: outbound.listeners[0].listen: 127.0.0.1:4140 is taken by outbound.http (127.0.0.1:4140); choose another port"
    ],
    [
      'outbound: { listeners: [{ listen: "unix:/a" }, { listen: "unix:/a" }] }',
      "1:58: outbound.listeners[1].listen: unix:/a is taken by outbound.listeners[0].listen; choose another path"
    ],
    ["outbound: { http: on }", '1:19: outbound.http: "on" is not host:port, like 127.0.0.1:8081'],
    [
      "admin: nowhere",
      '1:8: admin: "nowhere" is not host:port or unix:/path or a mapping with listen and allowRemote'
    ],
    [
      "admin: unix:./a.sock",
      '1:8: admin: "unix:./a.sock" has a relative path; write it from the root on, like unix:/run/skein/a.sock'
    ],
    [
      "outbound: { listeners: [{ listen: unix:o.sock, as: web }] }",
      '1:35: outbound.listeners[0].listen: "unix:o.sock" has a relative path; write it from the root on, like unix:/run/skein/o.sock'
    ],
    [
      "dns: { forward: [dns.example] }",
      '1:18: dns.forward[0]: "dns.example" is not an IP address, like 192.0.2.1 or 192.0.2.1:5353'
    ],
    [
      "dns: { bridge: { listen: '172.17.0.1:53' } }",
      '1:26: dns.bridge.listen: "172.17.0.1:53" can be reached from other hosts, and whoever reaches it calls services with this node\'s rights; use 127.0.0.1, or write allowRemote: true beside it'
    ],
    [
      "dns: { bridge: { listen: '0.0.0.0:53', allowRemote: true } }",
      '1:26: dns.bridge.listen: "0.0.0.0:53" is not one IPv4 address, which is what names are answered with; write that of the bridge, like 172.17.0.1:53'
    ],
    [
      "upstreams: [{ service: web, listen: unix:u.sock }]",
      '1:37: upstreams[0].listen: "unix:u.sock" has a relative path; write it from the root on, like unix:/run/skein/u.sock'
    ],
    [
      "upstreams: [{ service: web, listen: unix:/u.sock, uid: 0 }]",
      "1:56: upstreams[0].uid: is for ports; of a unix socket its mode and its owner say who may connect, and the system sees to it"
    ],
    [
      "upstreams: [{ service: web, listen: '127.0.0.1:1', mode: '0600' }]",
      "1:58: upstreams[0].mode: is for unix sockets; of a port write uid"
    ],
    [
      "upstreams: [{ service: web, listen: '127.0.0.1:1', detect: 1s }]",
      "1:60: upstreams[0].detect: is of protocol: auto; all others know what is spoken"
    ],
    [
      "upstreams: [{ service: a, listen: unix:/u.sock }, { service: b, listen: unix:/u.sock }]",
      "1:73: upstreams[1].listen: unix:/u.sock is taken by upstreams[0].listen; choose another path"
    ],
    [
      "{ upstreams: [{ service: a, listen: unix:/u.sock }], services: [{ name: b, address: unix:/u.sock }] }",
      "1:85: services[0].address: unix:/u.sock is this node's own upstreams[0].listen: calls to b would run in a circle; write the address of the program itself"
    ],
    [
      'services: [{ name: web, address: "unix:" }]',
      '1:34: services[0].address: "unix:" has no path; write one from the root on, like unix:/run/skein/web.sock'
    ],
    [
      "policies:\n  Pay: {}",
      "2:3: policies.Pay: \"Pay\" cannot be a key here: a service name is 1–63 of a–z, 0–9 and '-', not starting or ending with '-'"
    ],
    [
      "policies:\n  a: { balance: { kind: p2c } }",
      '2:25: policies.a.balance.kind: "p2c" is not one of p2c_ewma, round_robin, least_request; did you mean p2c_ewma?'
    ],
    [
      "policies:\n  a: { timeout: { request: 1s, perTry: 2s } }",
      "2:40: policies.a.timeout.perTry: 2s is not shorter than timeout.request (1s) and would never apply; shorten it, or leave it out"
    ],
    [
      "policies:\n  a: { balance: round_robin }",
      '2:17: policies.a.balance: "round_robin" is not a mapping with kind: p2c_ewma, round_robin or least_request; write { kind: round_robin }'
    ],
    [
      "policies:\n  a: { balance: random }",
      '2:17: policies.a.balance: "random" is not a mapping with kind: p2c_ewma, round_robin or least_request'
    ],
    [
      "policies:\n  a: { balance: { knd: round_robin } }",
      "2:19: policies.a.balance.knd: unknown key knd; did you mean kind?"
    ],
    [
      "upstreams:\n  - { service: a, listen: 127.0.0.1:1, grpcWeb: {} }",
      "2:49: upstreams[0].grpcWeb: is for ports that read HTTP, and this one carries TCP; write protocol: grpc"
    ],
    [
      "outbound: { grpcWeb: { origins: [https://shop.example/] } }",
      '1:34: outbound.grpcWeb.origins[0]: "https://shop.example/" is not an origin; write it in small letters and without a path, like https://shop.example or http://localhost:5173, or * for all pages'
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, health: { grpc: {} } }",
      "2:54: services[0].health.grpc: cannot be asked of a, which speaks HTTP/1.1 (services[0].protocol); write protocol: grpc or http2 if it does, or health: { http: {} }"
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: grpc, health: { grpc: { service: a b } } }",
      '2:81: services[0].health.grpc.service: "a b" is not a service of gRPC; write it like shop.v1.Payments'
    ],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, health: tcp }",
      '2:46: services[0].health: "tcp" is not a mapping with http, a mapping with grpc or a mapping with tcp; write { tcp: {} }'
    ],
    [
      "services:\n  - { address: 127.0.0.1:1 }",
      "2:5: services[0].name: is missing; expected a service's name, like payments"
    ],
    [
      "policies:\n  a: { timeout: { request: } }",
      "2:19: policies.a.timeout.request: is empty; expected a duration, like 500ms or 2s"
    ],
    ["node: { listen: [] }", "1:17: node.listen: [] is not a list with at least one entry"],
    ['node: { dataDir: "" }', "1:18: node.dataDir: is empty; expected text"],
    [
      "services:\n  - { name: a, address: 127.0.0.1:1, protocol: '' }",
      "2:48: services[0].protocol: is empty; expected one of http, http2, grpc, tcp, auto"
    ],
    [
      "node: { name: [a] }",
      "1:15: node.name: [\"a\"]: a node name is 1–128 of A–Z, a–z, 0–9, '.', '_' and '-'"
    ],
    [
      "telemetry: { otlp: 127.0.0.1:4318 }",
      '1:20: telemetry.otlp: "127.0.0.1:4318" is not an http:// or https:// URL of a collector, like http://127.0.0.1:4318'
    ],
    [
      "telemetry: { accessLog: stdot }",
      '1:25: telemetry.accessLog: "stdot" is none of off, stdout, stderr and not a path with a /'
    ]
  ])("%j", async (text, problem) => {
    expect(await problems(text)).toEqual([`skein.yaml:${problem}`])
  })

  it.each([
    "nonsense",
    "127.0.0.1:4001",
    "/ip4/300.0.0.1/tcp/1",
    "/ip4/0.0.0.0/udp/1",
    "/ip4/0.0.0.0/tcp/99999"
  ])("node.listen: %s", async (address) => {
    expect(await problems(`node: { listen: [${address}] }`)).toEqual([
      `skein.yaml:1:18: node.listen[0]: "${address}" is not an address to listen on; ${notAddress}`
    ])
  })

  it("every problem at once, in the order of the file", async () => {
    const found = await problems(`
node: { nam: x }
drain: { deadline: soon }
services:
  - { name: a, address: 127.0.0.1:1, wieght: 3 }
upstreams:
  - { service: b, listen: 127.0.0.1:4191 }
`)
    expect(found.map((line) => line.split(": ").slice(0, 2).join(": "))).toEqual([
      "skein.yaml:2:9: node.nam",
      "skein.yaml:3:20: drain.deadline",
      "skein.yaml:5:38: services[0].wieght",
      "skein.yaml:7:27: upstreams[0].listen"
    ])
  })

  it("in JSON too, tabs and all", async () => {
    expect(
      await problems('{\n\t"services": [\n\t\t{ "name": "a", "adress": "x:1" }\n\t]\n}', "a.json")
    ).toEqual(["a.json:3:18: services[0].adress: unknown key adress; did you mean address?"])
  })

  it("in TypeScript by path alone: there is no text to point at", async () => {
    expect(await problems("export default { node: { nam: 'x' } }", "b.mjs")).toEqual([
      "b.mjs: node.nam: unknown key nam; did you mean name?"
    ])
  })

  it("behind an alias, where the value is written", async () => {
    expect(await problems("policies:\n  a: &x\n    retires: {}\n  b: *x\n")).toEqual([
      "skein.yaml:3:5: policies.a.retires: unknown key retires; did you mean retry?",
      "skein.yaml:3:5: policies.b.retires: unknown key retires; did you mean retry?"
    ])
  })

  it.each<readonly [text: string, ...problems: ReadonlyArray<string>]>([
    [
      "node:\n  name: [a\nadmin: 1\n",
      "3:1: expected ] before this, to close the [ of line 2, column 9; if this line belongs between them, indent it"
    ],
    [
      "node: { name: a",
      "1:16: expected } before this, to close the { of line 1, column 7; the file ends without it"
    ],
    [
      "node: { name: '[', listen: [a\n}",
      "2:1: expected ] before this, to close the [ of line 1, column 28; if this line belongs between them, indent it"
    ],
    [
      "node: { name: a zone: b }\n",
      "1:15: expected a comma: between { } or [ ] entries stand like { a: 1, b: 2 }, [x, y]"
    ],
    [
      "node: { name: a, listen:\n  - x\n}\n",
      "2:3: expected a list in brackets: between { } or [ ] it is written [x, y]"
    ],
    ["node\n  name: a\n", '1:1: expected a colon behind "node"; write node: and its value'],
    ["services:\n  - a\nb\n", '3:1: expected a colon behind "b"; write b: and its value'],
    ["node:\n  name:a\n  zone: b\n", "2:3: expected a space behind the colon; write name: a"],
    [
      "admin:127.0.0.1:4191\nnode: {}\n",
      "1:1: expected a space behind the colon; write admin: 127.0.0.1:4191"
    ],
    [
      "services:\n  -name: a\n   address: b\n",
      "2:3: expected a space behind the dash; write - name: …"
    ],
    ["node:\n\tname: a\n", "2:1: expected spaces, and there is a tab; indent with spaces alone"],
    [
      "node:\n  name: a\n zone: b\n",
      "3:2: indented by 1 space, as no key above it is; align it with name (2 spaces) or node (0 spaces)"
    ],
    [
      "services:\n  - name: a\n  address: b\n",
      "3:3: indented by 2 spaces, as no key above it is; align it with name (4 spaces) or services (0 spaces)"
    ],
    [
      "node:\n  name: a\n    zone: b\n",
      '2:9: expected nothing deeper below name, which has the value "a"; the next line is indented too far, or the value is to go'
    ],
    [
      "node:\n  name: a: b\n",
      '2:9: expected one value, and there is a second colon in "a: b"; put the value in quotes, or begin it on a line of its own'
    ],
    ['node:\n  name: "a\nadmin: 1\n', '2:9: this " is never closed; write " behind the text'],
    [
      'node: { dataDir: "C:\\data" }\n',
      "1:21: \\d means nothing between double quotes; use single ones"
    ],
    [
      "node: {}\nadmin: 127.0.0.1:1\nnode: {}\nadmin: 127.0.0.1:1\n",
      "3:1: node stands here a second time, and in line 1 already; keep one of them",
      "4:1: admin stands here a second time, and in line 2 already; keep one of them"
    ],
    ["node:\n  name: @a\n", "2:9: expected a value, and none begins with @; put it in quotes"],
    [
      "node: *a\n",
      "1:7: *a repeats what &a names, which stands nowhere before; a text that begins with * is put in quotes"
    ],
    [
      "services: *\n",
      '1:11: expected a name behind * or &; a text that begins with one is written "*"'
    ],
    ["node: {} ]\n", "1:10: ] closes nothing; leave it out, or write [ before"],
    [
      "node: {}\n---\nadmin: x\n",
      "2:1: expected the end of the file: a config is one document; leave --- out"
    ],
    ["node: !host {}\n", '1:7: "!host" is a tag that means nothing here; leave it out'],
    [
      '{ "node": {} "admin": "127.0.0.1:1" }',
      '1:14: expected a comma or a new entry, and there is "admin"'
    ],
    ['{\n  "node": {}\n  "admin": "127.0.0.1:1"\n}', '3:3: expected a comma before "admin"'],
    ['{ "node" {} }', '1:10: expected a colon or a comma before "{"']
  ])("says in plain words what is no YAML: %j", async (text, ...found) => {
    expect(await problems(text)).toEqual(found.map((one) => `skein.yaml:${one}`))
  })

  it("refuses aliases that multiply beyond reason", async () => {
    const lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    for (let i = 1; i < 9; i++) {
      lines.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(",")}]`)
    }
    expect(await problems(lines.join("\n"))).toEqual([
      "skein.yaml: aliases (*name) stand within each other and make more than 100 values; write them out"
    ])
  })

  it("names the option or variable that said it", async () => {
    const result = await load("admin: 127.0.0.1:1\n", "skein.yaml", [
      { path: ["admin"], value: "nonsense", source: "SKEIN_ADMIN" }
    ])
    expect(Either.isLeft(result) && result.left.message).toBe(
      'SKEIN_ADMIN: admin: "nonsense" is not host:port or unix:/path or a mapping with listen and allowRemote'
    )
  })

  it.each([
    ["none.yaml", "there is no such file; name one with --config FILE"],
    [
      "skein.toml",
      "skein.toml is not a config file: its name must end in .yaml, .yml, .json or .ts"
    ]
  ])("%s", async (name, reason) => {
    const path = join(directory, name)
    const result = await Effect.runPromise(Effect.either(loadConfig(path)))
    expect(Either.isLeft(result) && result.left.message).toBe(`${path}: ${reason}`)
    expect(Either.isLeft(result) && result.left.code).toBe("config_unreadable")
  })
})

describe("certificates that a config names", () => {
  const ca = new TestCa().cert
  const withCa = (text: string) =>
    `services: [{ name: pay, address: "127.0.0.1:1", tls: { ca: ${text} } }]`

  it("are read with it, from beside it or out of it", async () => {
    writeFileSync(join(directory, "ca.pem"), ca)
    expect((await valid(withCa("ca.pem"))).services[0]?.tls).toEqual({ ca, insecure: false })
    expect((await valid(withCa(JSON.stringify(ca)))).services[0]?.tls?.ca).toBe(ca)
  })

  it("are told where they cannot be", async () => {
    writeFileSync(join(directory, "empty.pem"), "nothing")
    writeFileSync(join(directory, "torn.pem"), ca.replace(/\n[^\n]{64}\n/, "\n"))
    expect(await problems(withCa("gone.pem"))).toEqual([
      expect.stringMatching(/^skein\.yaml:1:\d+: services\[0\]\.tls\.ca: .*no such file$/)
    ])
    expect(await problems(withCa("empty.pem"))).toEqual([
      expect.stringContaining("empty.pem has no certificate in PEM")
    ])
    expect(await problems(withCa("torn.pem"))).toEqual([
      expect.stringContaining("torn.pem has a certificate that cannot be read")
    ])
    expect(await problems(withCa("ca.pem, insecure: true"))).toEqual([
      expect.stringContaining("has insecure: true beside ca or pin")
    ])
    expect(await problems(withCa("ca.pem, pin: abc"))).toEqual([
      expect.stringContaining('"abc" is not sha256/')
    ])
  })
})
