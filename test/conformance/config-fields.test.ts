/**
 * Every field of a node's config, seen from outside two running nodes: each is given a value that
 * is not its default, and shows. A field that is added without an entry does not compile.
 */
import dgram from "node:dgram"
import { Resolver } from "node:dns/promises"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import http from "node:http"
import https from "node:https"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TLSSocket } from "node:tls"
import { decode, encode } from "@dnsquery/dns-packet"
import { Effect, Exit, Layer, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import * as MeshHttpClient from "../../src/api/MeshHttpClient.ts"
import {
  makeNodeConfig,
  type NodeConfig,
  type NodeConfigInput
} from "../../src/config/NodeConfig.ts"
import { decodeLanMessage, encodeQuestion } from "../../src/mesh/discovery/LanMessage.ts"
import { initMesh } from "../../src/mesh/keys/DataDir.ts"
import { MeshId, NodeName, ServiceName } from "../../src/model/Names.ts"
import { EndpointHealth, localServices, serviceEntries } from "../../src/node/LocalServices.ts"
import type { RunningNode } from "../../src/node/RunningNode.ts"
import { runNode } from "../../src/node.ts"
import { type AttachOptions, Skein } from "../../src/Skein.ts"
import { type Program, rawProgram, startProgram } from "../../src/testing/InboundFixture.ts"
import { TestCa } from "../fixtures/Certificates.ts"
import { freePort, until } from "../fixtures/Processes.ts"

/** Policies have a list of their own: src/request/outbound/PolicyFields.test.ts. */
type Fields<T> = T extends string | number | boolean
  ? ""
  : T extends ReadonlyArray<infer Item>
    ? `[]${Fields<Item>}`
    : {
        [K in keyof T & string]-?: K extends "policies" | "policy"
          ? `.${K}`
          : `.${K}${Fields<Exclude<T[K], undefined>>}`
      }[keyof T & string]

const web = ServiceName.make("web")
const raw = ServiceName.make("raw")
const sick = ServiceName.make("sick")
const secret = ServiceName.make("secret")
const pinned = ServiceName.make("pinned")
const mute = ServiceName.make("mute")
const directory = mkdtempSync(join(tmpdir(), "skein-fields-"))
const at = (name: string): string => join(directory, name)
const scope = Effect.runSync(Scope.make())
const programs: Array<Program> = []
const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Scope.extend(effect, scope))

const seen = { path: "", traceparent: "", caller: "" }
const program = async (server: net.Server): Promise<number> => {
  const started = await startProgram(server)
  programs.push(started)
  return started.port
}
const ownUid = process.getuid?.() ?? 0
const ownGid = process.getgid?.() ?? 0

/** Well at /well only. */
const answering = () =>
  http.createServer((request, response) => {
    if (request.url === "/well") seen.path = request.url
    else {
      seen.traceparent = String(request.headers["traceparent"])
      // Calls alone, which have a trace: the node's own questions of a program come at any time.
      if (seen.traceparent !== "undefined") seen.caller = String(request.headers["skein-caller"])
    }
    response.statusCode = request.url === "/" ? 500 : 200
    response.end("from web")
  })

/** What an OTLP collector was told. */
const collected: Array<string> = []
const collector = () =>
  program(
    http.createServer((request, response) => {
      let body = ""
      request.on("data", (part: Buffer) => {
        body += part.toString()
      })
      request.on("end", () => {
        collected.push(body)
        response.end("{}")
      })
    })
  )

const ca = new TestCa()
/** Says by which name it was asked for, and what is spoken. */
const sealed = () =>
  https.createServer(ca.issue(["secret.test"]), ({ socket }, response) => {
    const { alpnProtocol, servername } = socket as TLSSocket & { readonly servername: string }
    response.end(`${servername} ${alpnProtocol}`)
  })

let a: RunningNode
let b: RunningNode
/** Nobody's, and with what is not there. */
let none: RunningNode
let config: NodeConfig
/** What the nodes log. */
const spoken = vi.spyOn(console, "log")
let bridgePort: number
let ports: Record<
  | "listen"
  | "admin"
  | "proxy"
  | "http"
  | "tcp"
  | "one"
  | "two"
  | "raw"
  | "caller"
  | "names"
  | "elsewhere"
  | "attach",
  number
>

beforeAll(async () => {
  const [listen, admin, proxy, upHttp, upTcp, listenB, caller, named = 0, elsewhere, attach = 0] =
    await Promise.all(Array.from({ length: 10 }, () => freePort()))
  const [one, two] = [await program(answering()), await program(answering())]
  const echo = await program(rawProgram((socket) => socket.pipe(socket)))
  ports = {
    listen: listen!,
    admin: admin!,
    proxy: proxy!,
    http: upHttp!,
    tcp: upTcp!,
    caller: caller!,
    names: named,
    elsewhere: elsewhere!,
    attach,
    one,
    two,
    raw: echo
  }
  const nodeName = NodeName.make("host-a")
  await run(initMesh({ dataDir: at("a"), meshName: "test", nodeName, now: Date.now() }))
  a = await run(
    runNode({
      config: makeNodeConfig({
        node: {
          dataDir: at("a"),
          listen: [`/ip4/0.0.0.0/tcp/${listen}`],
          announce: [`/ip4/127.0.0.1/tcp/${listen}`],
          zone: "eu/1",
          discovery: { mdns: true }
        },
        admin: `unix:${at("admin.sock")}`,
        outbound: { http: "off" }
      })
    })
  )
  const grant = { services: ["*"], capabilities: [], ttlMs: 60_000 }
  const { token } = await run(a.source.invite(grant))
  bridgePort = await freePort()
  const input: NodeConfigInput = {
    node: {
      name: "host-b",
      dataDir: at("b"),
      listen: [`/ip4/127.0.0.1/tcp/${listenB}`],
      threads: 3,
      ephemeral: true
    },
    admin: { listen: `0.0.0.0:${admin}`, allowRemote: true },
    outbound: {
      http: { listen: `0.0.0.0:${proxy}`, allowRemote: true },
      grpcWeb: { origins: ["http://localhost:5173"] },
      listeners: [
        { listen: `0.0.0.0:${caller}`, as: "orders", uid: ownUid, allowRemote: true },
        { listen: `unix:${at("callers.sock")}`, as: "shop", mode: "0640", owner: `:${ownGid}` }
      ]
    },
    services: [
      {
        name: web,
        port: elsewhere,
        addresses: [`127.0.0.1:${one}`, `127.0.0.1:${two}`],
        weight: 7,
        policy: { timeout: { request: "7s" } },
        health: { http: { path: "/well", interval: "150ms", timeout: "700ms" } }
      },
      {
        name: raw,
        address: `127.0.0.1:${echo}`,
        protocol: "tcp",
        health: { tcp: { interval: "150ms", timeout: "700ms" } }
      },
      { name: sick, address: `127.0.0.1:${one}`, health: { http: {} } },
      {
        ...{ name: secret, address: `127.0.0.1:${await program(sealed())}` },
        tls: { ca: ca.cert, serverName: "secret.test", alpn: ["http/1.0", "http/1.1"] }
      },
      {
        ...{ name: pinned, address: `127.0.0.1:${await program(sealed())}` },
        tls: { pin: `sha256/${"A".repeat(43)}=` }
      },
      { name: "anyone", address: `127.0.0.1:${await program(sealed())}`, tls: { insecure: true } },
      {
        name: mute,
        address: `127.0.0.1:${one}`,
        protocol: "http2",
        health: { grpc: { service: "shop.v1.Mute", interval: "150ms", timeout: "700ms" } }
      },
      { name: "either", address: `127.0.0.1:${one}`, protocol: "auto", detect: "7ms" }
    ],
    upstreams: [
      {
        ...{ service: web, listen: `0.0.0.0:${upHttp}`, as: "ops", allowRemote: true },
        ...{ protocol: "http", grpcWeb: { origins: ["https://shop.example"] } }
      },
      { service: raw, listen: `127.0.0.1:${upTcp}`, protocol: "tcp", uid: ownUid },
      {
        ...{ service: web, listen: `unix:${at("web.sock")}`, protocol: "auto", detect: "1ms" },
        ...{ mode: "0640", owner: `:${ownGid}` }
      }
    ],
    programs: [
      { listen: `unix:${at("p.sock")}`, as: "shop", mode: "0640", owner: `:${ownGid}` },
      { listen: `127.0.0.1:${attach}` }
    ],
    policies: { [web]: { breaker: "off" } },
    telemetry: {
      otlp: `http://127.0.0.1:${await freePort()}`,
      sample: 1,
      accessLog: at("access.log")
    },
    dns: {
      listen: { listen: `0.0.0.0:${named}`, allowRemote: true },
      suffix: "svc.test",
      bridge: { listen: `127.0.0.77:${bridgePort}`, allowRemote: true, as: "orders" },
      addresses: "127.99.0.0/16",
      ipv6: "fd5c:6e1a:77::/64",
      ttl: "9s",
      forward: [`127.0.0.1:${elsewhere}`]
    },
    audit: {
      file: at("audit.log"),
      maxBytes: 65_536,
      files: 2,
      otlp: `http://127.0.0.1:${await collector()}`
    },
    drain: { deadline: "20s" }
  }
  // From an earlier run, with no room for a further line.
  writeFileSync(at("audit.log"), `${"x".repeat(65_535)}\n`)
  writeFileSync(at("audit.log.1"), "older\n")
  config = makeNodeConfig(input)
  b = await run(runNode({ config, configPath: at("b.json"), join: token }))
  await run(initMesh({ dataDir: at("none"), meshName: "none", nodeName, now: Date.now() }))
  const node = { dataDir: at("none"), listen: ["/ip4/127.0.0.1/tcp/0"], threads: 0 }
  const off = makeNodeConfig({ node, admin: "off", audit: "off", outbound: { http: "off" } })
  none = await run(runNode({ config: off }))
  // Follows the file, and so does what is told of it.
  writeFileSync(at("b.json"), JSON.stringify({ ...input, drain: { deadline: "1234ms" } }))
  expect(b.drainDeadline()).toBe(20_000)
  await run(b.reload)
  await run(a.awaitService(web))
  await run(b.awaitService(web))
  await run(b.awaitService(raw))
}, 60_000) // three nodes, beside other tests

afterAll(async () => {
  vi.restoreAllMocks()
  await Effect.runPromise(Scope.close(scope, Exit.void))
  for (const { close } of programs) await close()
  rmSync(directory, { recursive: true })
})

const get = (port: number | string, host: string): Promise<string> =>
  getFrom(typeof port === "string" ? { socketPath: port } : { port, host: "127.0.0.1" }, host)
const getAt = (address: string, port: number, host: string) =>
  getFrom({ host: address, port }, host)
const getFrom = (
  to: { readonly socketPath: string } | { readonly host: string; readonly port: number },
  host: string
): Promise<string> =>
  new Promise((resolve, reject) => {
    http
      .get({ ...to, path: "/x", headers: { host }, agent: false }, (response) => {
        let text = ""
        response.on("data", (chunk) => {
          text += chunk
        })
        response.on("end", () => resolve(text))
      })
      .on("error", reject)
  })

const echoed = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write("echo"))
    socket.once("error", reject)
    socket.once("data", (chunk) => {
      socket.destroy()
      resolve(chunk.toString())
    })
  })

/** What `a` has been told of b's endpoints. */
const told = (service: ServiceName) => run(a.source.endpoints(service))
const checks = () => localServices(config).map(({ endpoints }) => endpoints[0]?.health)

/** Whether a page may call by gRPC-Web. */
const mayCall = async (port: number, origin: string) => {
  const answer = await fetch(`http://127.0.0.1:${port}/shop.v1.Payments/Charge`, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type,x-grpc-web"
    }
  })
  expect(answer.headers.get("access-control-allow-origin")).toBe(origin)
}
const proxied = async () => {
  expect(b.proxy).toBe(`0.0.0.0:${ports.proxy}`)
  expect(await get(ports.proxy, "web.mesh")).toBe("from web")
}
const reached = async () => {
  const endpoints = (await told(web)).map(({ endpoint }) => endpoint)
  // Listed by their numbers, which chance has given.
  const inOrder = [ports.one, ports.two].toSorted((a, b) => a - b)
  expect(endpoints).toEqual(inOrder.map((port) => `127.0.0.1:${port}`))
}
const asOrders = async () => {
  expect(await get(ports.caller, "web.mesh")).toBe("from web")
  expect(seen.caller).toBe("orders")
}
const asShop = async () => {
  expect(await get(at("callers.sock"), "web.mesh")).toBe("from web")
  expect(seen.caller).toBe("shop")
  expect(statSync(at("callers.sock"))).toMatchObject({ gid: ownGid })
  expect(statSync(at("callers.sock")).mode & 0o777).toBe(0o640)
}
const attachedBy = async (options: AttachOptions): Promise<void> => {
  const call = Effect.flatMap(MeshHttpClient.make, (client) => client.get("http://web.mesh/x"))
  const answer = Effect.flatMap(call, ({ text }) => text)
  await run(
    Effect.gen(function* () {
      const attached = yield* Layer.build(Skein.attach(options))
      expect(yield* Effect.provide(answer, attached)).toBe("from web")
    })
  )
}
const atPath = async () => {
  await attachedBy({ to: `unix:${at("p.sock")}` })
  expect(seen.caller).toBe("shop")
  for (const name of ["p.sock", "p.sock.0", "p.sock.2"]) {
    expect(statSync(at(name))).toMatchObject({ gid: ownGid })
    expect(statSync(at(name)).mode & 0o777).toBe(0o640)
  }
}
const atPort = async () => {
  await attachedBy({
    to: `127.0.0.1:${ports.attach}`,
    tokenFile: join(at("b"), "programs.token")
  })
  expect(seen.caller).toBe("host/host-b")
}
const upstreams = async () => {
  seen.traceparent = ""
  // As another host would ask, which must be allowed.
  expect(await get(ports.http, "192.0.2.1")).toBe("from web")
  // Only what is read as HTTP is given trace fields: the other way it would be a tunnel.
  expect(seen.traceparent).toMatch(/^00-/)
  expect(await echoed(ports.tcp)).toBe("echo")
}
const byPath = async () => {
  expect(await get(at("web.sock"), "localhost")).toBe("from web")
  expect(statSync(at("web.sock"))).toMatchObject({ gid: ownGid })
  expect(statSync(at("web.sock")).mode & 0o777).toBe(0o640)
}
const adminOpen = async () => {
  expect(b.admin).toBe(`0.0.0.0:${ports.admin}`)
  expect(await get(ports.admin, "127.0.0.1")).toContain("/api/v1")
}

/** As the system's own resolver asks. */
const resolverOf = (port: number): Resolver => {
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.1:${port}`])
  return resolver
}
const called = async () => {
  expect(b.names).toEqual({ address: `0.0.0.0:${ports.names}`, suffix: "svc.test" })
  const [found] = await resolverOf(ports.names).resolve4("web.svc.test", { ttl: true })
  expect(found).toMatchObject({ ttl: 9, address: expect.stringMatching(/^127\.99\./) })
  // Where the service says that its name is called.
  expect(await getAt(found!.address, ports.elsewhere, "web.svc.test")).toBe("from web")
}
const bridged = async () => {
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.77:${bridgePort}`])
  expect(await resolver.resolve4("web.svc.test")).toEqual(["127.0.0.77"])
  expect(await getAt("127.0.0.77", ports.elsewhere, "web.svc.test")).toBe("from web")
  expect(seen.caller).toBe("orders")
}
const forwarded = async () => {
  const server = dgram.createSocket("udp4")
  server.on("message", (bytes, { address, port }) => {
    const [question] = decode(bytes).questions ?? []
    const answers = [{ type: "A" as const, name: question!.name, ttl: 1, data: "192.0.2.7" }]
    const id = bytes.readUInt16BE(0)
    server.send(encode({ type: "response", id, questions: [question!], answers }), port, address)
  })
  await new Promise<void>((resolve) => server.bind(ports.elsewhere, "127.0.0.1", resolve))
  expect(await resolverOf(ports.names).resolve4("example.com")).toEqual(["192.0.2.7"])
  server.close()
}

const sealedly = async () => {
  expect(await get(ports.proxy, "secret.mesh")).toBe("secret.test http/1.1")
}

const fields: Record<Fields<Omit<NodeConfig, "writtenPolicies">>, () => Promise<void>> = {
  ".node.name": async () => {
    expect(b.name).toBe("host-b")
  },
  ".node.dataDir": async () => {
    expect(existsSync(at("b"))).toBe(true)
    expect((await run(b.source.status)).dataDir).toBe(at("b"))
  },
  ".node.listen[]": async () => {
    expect(b.addresses).toEqual(config.node.listen)
  },
  ".node.announce[]": async () => {
    expect(a.addresses).toEqual([`/ip4/127.0.0.1/tcp/${ports.listen}`])
  },
  ".node.threads": async () => {
    const threadsOf = async (node: RunningNode) =>
      (await run(node.source.status)).threads.map(({ index, state }) => `${index} ${state}`)
    expect(await threadsOf(b)).toEqual(["0 running", "1 running", "2 running"])
    // This one's requests share the thread of its mesh.
    expect(await threadsOf(none)).toEqual(["0 running"])
  },
  ".node.discovery.mdns": async () => {
    // Somebody of the mesh asks, on this host's own network.
    const lan = dgram.createSocket({ type: "udp4", reuseAddr: true })
    const heard = new Promise<unknown>((resolve) => {
      lan.on("message", (bytes) => {
        const message = decodeLanMessage(bytes, MeshId.make(a.mesh.id))
        if (message?.kind === "answer") resolve(message.words)
      })
    })
    const ask = () => lan.send(encodeQuestion(MeshId.make(a.mesh.id)), 5353, "224.0.0.251")
    lan.bind(5353, () => {
      lan.addMembership("224.0.0.251", "127.0.0.1")
      lan.setMulticastInterface("127.0.0.1")
      ask()
    })
    // As anybody does who is alone: an answer may be lost, or not given while others are.
    const again = setInterval(ask, 1_000)
    expect(await heard).toEqual([{ peer: a.peer, port: ports.listen, ttl: 900 }])
    clearInterval(again)
    lan.close()
  },
  ".node.ephemeral": async () => {
    // As host-a holds it, signed by its node: what follows when it is dead, forget.test.ts.
    const told = await until("the catalogue of host-a", () => {
      const bytes = readFileSync(join(at("a"), "catalogue.bin"))
      const log = readFileSync(join(at("a"), "catalogue.log"))
      return Buffer.concat([bytes, log]).includes("ephemeral") ? true : undefined
    })
    expect(told).toBe(true)
  },
  ".node.zone": async () => {
    const zone = await until("news of host-a", async () => {
      const rows = await run(b.source.members)
      return rows.find(({ node }) => node === "host-a")?.zone
    })
    expect(zone).toBe("eu/1")
  },
  ".admin": async () => {
    expect(none.admin).toBeUndefined()
  },
  ".admin.listen.path": async () => {
    expect(a.admin).toBe(`unix:${at("admin.sock")}`)
    expect(existsSync(at("admin.sock"))).toBe(true)
  },
  ".admin.listen.host": adminOpen,
  ".admin.listen.port": adminOpen,
  ".admin.allowRemote": adminOpen,
  ".outbound.listeners[].listen.host": asOrders,
  ".outbound.listeners[].listen.port": asOrders,
  ".outbound.listeners[].as": asOrders,
  // Others are turned away: CallerListeners.test.ts.
  ".outbound.listeners[].uid": asOrders,
  ".outbound.listeners[].allowRemote": asOrders,
  ".outbound.listeners[].listen.path": asShop,
  ".outbound.listeners[].mode": asShop,
  ".outbound.listeners[].owner": asShop,
  ".outbound.http": async () => {
    expect(a.proxy).toBeUndefined()
  },
  ".outbound.grpcWeb.origins[]": () => mayCall(ports.proxy, "http://localhost:5173"),
  ".outbound.http.listen.host": proxied,
  ".outbound.http.listen.port": proxied,
  ".outbound.http.allowRemote": proxied,
  ".programs[].listen.path": atPath,
  ".programs[].as": atPath,
  ".programs[].mode": atPath,
  ".programs[].owner": atPath,
  ".programs[].listen.host": atPort,
  ".programs[].listen.port": atPort,
  ".dns.listen.listen.host": called,
  ".dns.listen.listen.port": called,
  ".dns.listen.allowRemote": called,
  // With a block that the host has: test/long/containers.test.ts. Here it has not, which is told.
  ".dns.ipv6": async () => {
    await resolverOf(ports.names)
      .resolve6("web.svc.test")
      .catch(() => undefined)
    await until("the mend", () =>
      spoken.mock.calls.flat().join().includes("ip -6 route add local fd5c:6e1a:77::/64 dev lo")
        ? true
        : undefined
    )
  },
  ".dns.suffix": called,
  ".dns.bridge.listen.host": bridged,
  ".dns.bridge.listen.port": bridged,
  // What is refused without it: ConfigFile.test.ts.
  ".dns.bridge.allowRemote": bridged,
  ".dns.bridge.as": bridged,
  ".dns.addresses": called,
  ".dns.ttl": called,
  ".dns.forward[].host": forwarded,
  ".dns.forward[].port": forwarded,
  ".services[].port": called,
  ".services[].name": async () => {
    const names = (await run(a.source.services)).map(({ name }) => name)
    expect(names.toSorted()).toEqual(["anyone", "either", mute, pinned, raw, secret, sick, web])
  },
  ".services[].protocol": async () => {
    const rows = await run(a.source.services)
    expect(rows.find(({ name }) => name === raw)?.protocol).toBe("tcp")
  },
  ".services[].addresses[].host": reached,
  ".services[].addresses[].port": reached,
  ".services[].tls.ca": sealedly,
  ".services[].tls.serverName": sealedly,
  ".services[].tls.alpn[]": sealedly,
  ".services[].tls.pin": async () => {
    expect(await get(ports.proxy, "pinned.mesh")).toContain("which tls.pin does not name")
  },
  ".services[].tls.pin[]": async () => {
    expect(localServices(config)[4]?.tls?.pins).toEqual([`sha256/${"A".repeat(43)}=`])
  },
  ".services[].tls.insecure": async () => {
    expect(await get(ports.proxy, "anyone.mesh")).toBe("false http/1.1")
  },
  ".services[].weight": async () => {
    expect((await told(web)).map(({ weight }) => weight)).toEqual([7, 7])
  },
  ".services[].policy": async () => {
    const { values } = await run(a.source.policy(web))
    expect(values.find(({ path }) => path === "timeout.request")).toMatchObject({
      ...{ value: "7s", source: "owner", by: "host-b" }
    })
  },
  ".services[].health.http.path": async () => {
    expect(seen.path).toBe("/well")
    expect((await told(sick)).map(({ healthy }) => healthy)).toEqual([false])
  },
  // What a check does with its times: HealthChecker.test.ts.
  ".services[].health.http.interval": async () => {
    expect(checks()[0]).toMatchObject({ kind: "http", interval: 150 })
  },
  ".services[].health.http.timeout": async () => {
    expect(checks()[0]).toMatchObject({ kind: "http", timeout: 700 })
  },
  // What callers make of it: NamedPorts.test.ts.
  ".services[].detect": async () => {
    const entries = serviceEntries(localServices(config), new EndpointHealth())
    expect(entries.find(({ name }) => name === "either")).toMatchObject({ detect: 7 })
  },
  ".services[].health.grpc.service": async () => {
    expect(checks()[6]).toMatchObject({ kind: "grpc", service: "shop.v1.Mute" })
    expect((await told(mute)).map(({ healthy }) => healthy)).toEqual([false])
  },
  ".services[].health.grpc.interval": async () => {
    expect(checks()[6]).toMatchObject({ kind: "grpc", interval: 150 })
  },
  ".services[].health.grpc.timeout": async () => {
    expect(checks()[6]).toMatchObject({ kind: "grpc", timeout: 700 })
  },
  ".services[].health.tcp.interval": async () => {
    expect(checks()[1]).toMatchObject({ kind: "tcp", interval: 150 })
  },
  ".services[].health.tcp.timeout": async () => {
    expect(checks()[1]).toMatchObject({ kind: "tcp", timeout: 700 })
  },
  ".upstreams[].grpcWeb.origins[]": () => mayCall(ports.http, "https://shop.example"),
  ".upstreams[].as": async () => {
    await upstreams()
    expect(seen.caller).toBe("ops")
  },
  // Others are turned away: CallerListeners.test.ts.
  ".upstreams[].uid": upstreams,
  ".upstreams[].mode": byPath,
  ".upstreams[].owner": byPath,
  ".upstreams[].detect": async () => {
    // Who says nothing for so long has a tunnel to the program, which then sees no trace.
    await until("a tunnel", async () => {
      const socket = net.connect(at("web.sock"))
      await new Promise((resolve) => setTimeout(resolve, 50))
      const asked = new Promise((resolve) => socket.once("data", resolve))
      socket.write("GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n")
      expect(String(await asked)).toContain("HTTP/1.1 200")
      socket.destroy()
      return seen.traceparent === "undefined" ? true : undefined
    })
  },
  ".upstreams[].service": upstreams,
  ".upstreams[].listen.host": upstreams,
  ".upstreams[].listen.port": upstreams,
  ".upstreams[].allowRemote": upstreams,
  ".upstreams[].protocol": upstreams,
  ".policies": async () => {
    await proxied()
    const rows = await run(b.source.endpoints(web))
    expect(rows.some(({ breaker }) => breaker === "off")).toBe(true)
  },
  ".telemetry.otlp": async () => {
    expect((await run(b.source.status)).telemetry.collector).toContain(config.telemetry.otlp)
  },
  ".telemetry.sample": async () => {
    await proxied()
    expect(seen.traceparent).toMatch(/-01$/)
  },
  ".telemetry.accessLog": async () => {
    await proxied()
    const line = () =>
      /"service":"web"/.test(readFileSync(at("access.log"), "utf8")) ? 1 : undefined
    expect(await until("a line in the access log", line)).toBe(1)
  },
  ".audit": async () => {
    expect((await run(none.source.status)).auditFile).toBeNull()
    expect(existsSync(join(at("none"), "audit.log"))).toBe(false)
    // The default is in the data directory.
    await until("a line of host-a", () =>
      /"key.invite"/.test(readFileSync(join(at("a"), "audit.log"), "utf8")) ? true : undefined
    )
  },
  ".audit.file": async () => {
    expect((await run(b.source.status)).auditFile).toBe(at("audit.log"))
    expect(readFileSync(at("audit.log"), "utf8")).toMatch(/"event":"node.started"/)
  },
  ".audit.maxBytes": async () => {
    expect(readFileSync(at("audit.log.1"), "utf8")).toMatch(/^x{65535}\n$/)
  },
  ".audit.files": async () => {
    expect(existsSync(at("audit.log.2"))).toBe(false)
  },
  ".audit.otlp": async () => {
    await until("an event at the collector", () =>
      collected.some((body) => /"eventName":"node.started"/.test(body)) ? true : undefined
    )
  },
  ".drain.deadline": async () => {
    // A tunnel that nobody ends is cut off then, and not after the default's thirty seconds.
    const held = net.connect(ports.tcp, "127.0.0.1", () => held.write("held"))
    const gone = new Promise((resolve) => held.once("close", resolve))
    held.on("error", () => undefined)
    await new Promise((resolve) => held.once("data", resolve))
    expect(b.drainDeadline()).toBe(1_234)
    expect((await run(b.source.drain)).deadlineMs).toBe(1_234)
    await run(b.drain)
    await gone
  }
}

describe("a config's", () => {
  it.each(Object.entries(fields))("%s shows", (_, shows) => shows())
})
