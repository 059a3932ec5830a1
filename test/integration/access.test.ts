/**
 * Who may call what, with real nodes and curl: orders may POST /charge on payments, and nobody else may
 * anything, as docs/access.md has it.
 */
import { readFileSync, writeFileSync } from "node:fs"
import type { ServerResponse } from "node:http"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { parse } from "yaml"
import { type App, httpApp, tcpEchoApp } from "../fixtures/Apps.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const held: Array<ServerResponse> = []
let payments: App
let ledger: App
let a: Host
let b: Host
/** Proxies whose clients are orders, and web; and a port of the ledger for orders. */
const as = { orders: "", web: "" }
let ledgerPort: number
let logFile: string

const rules = `kind: access
name: payments-charge
service: payments
allow:
  - { from: orders, methods: [POST], path: /charge }
  - { from: "host/ops-*", methods: [GET] }
`

const apply = async (text: string, host = a): Promise<void> => {
  const file = join(mesh.directory, "rules.yaml")
  writeFileSync(file, text)
  const { code, stderr } = await skein("apply", "-f", file, "--data-dir", host.dataDir)
  expect([code, stderr]).toEqual([0, expect.any(String)])
}

const curl = async (proxy: string, path: string, ...args: ReadonlyArray<string>) => {
  const { stdout } = await run(program("curl"), [
    ...["-sS", "-i", "--path-as-is", "--max-time", "20", "-x", proxy, ...args],
    `http://payments.mesh${path}`
  ])
  return {
    status: Number(/^HTTP\/1.1 (\d+)/.exec(stdout)?.[1]),
    code: /^skein-error: (\S+)/im.exec(stdout)?.[1],
    node: /^skein-node: (\S+)/im.exec(stdout)?.[1],
    message: /"message":"([^"]*)"/.exec(stdout)?.[1]
  }
}

const post = ["-X", "POST", "-d", "{}"]

/** What a bad path or method is answered with. */
const denied = (message: string) => ({
  ...{ status: 403, code: "denied", node: "host-b" },
  message: expect.stringContaining(message)
})

const meshId = async (): Promise<string> => {
  const { stdout } = await skein("status", "-o", "json", "--data-dir", a.dataDir)
  return /"id": "([0-9a-f]{32})"/.exec(stdout)?.[1] ?? ""
}

const metric = async (host: Host, line: string): Promise<number> => {
  const text = await (await fetch(`http://${host.admin}/metrics`)).text()
  const found = text.split("\n").find((one) => one.startsWith(`${line} `))
  return Number(found?.slice(line.length) ?? 0)
}

/** By rule, over callers. */
const decisions = (rule: string, decision: string) =>
  metric(
    b,
    `skein_access_decisions_total{service="payments",rule="${rule}",decision="${decision}"}`
  )

interface Line {
  readonly access: string | null
  readonly rule: string | null
  readonly direction: string
  readonly code: string | null
  readonly target: string
}

const logged = (): ReadonlyArray<Line> =>
  readFileSync(logFile, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))

beforeAll(async () => {
  payments = await httpApp("payments", (request, response) => {
    if (request.url === "/charge?hold") {
      response.write("begun")
      held.push(response)
    } else response.end("paid")
  })
  ledger = await tcpEchoApp()
  const [ordersPort, webPort] = [await freePort(), await freePort()]
  as.orders = `127.0.0.1:${ordersPort}`
  as.web = `127.0.0.1:${webPort}`
  ledgerPort = await freePort()
  a = await mesh.first("host-a", {
    threads: 2,
    listeners: [
      { listen: as.orders, as: "orders" },
      { listen: as.web, as: "web" }
    ],
    upstreams: [{ service: "ledger", listen: `127.0.0.1:${ledgerPort}`, as: "orders" }]
  })
  logFile = join(mesh.directory, "access.log")
  b = await mesh.join("host-b", {
    threads: 2,
    telemetry: { accessLog: logFile },
    services: [
      { name: "payments", address: payments.address },
      { name: "ledger", address: ledger.address, protocol: "tcp" }
    ]
  })
  await until("host-a knows both services", async () => {
    const services = JSON.stringify(await a.api("services"))
    return services.includes("payments") && services.includes("ledger") ? true : undefined
  })
})

afterAll(async () => {
  await mesh.stop()
  await payments.close()
  await ledger.close()
  await stopAll()
})

describe("access rules", () => {
  it("are none at first: everybody may", async () => {
    expect(await curl(as.web, "/refund")).toMatchObject({ status: 200 })
  })

  it("let orders POST /charge, and nobody else do anything", async () => {
    await apply(rules)
    expect(await curl(as.orders, "/charge", ...post)).toMatchObject({ status: 200 })
    const before = payments.requests
    expect(await curl(as.orders, "/charge")).toEqual(
      denied(
        "orders (on host-a) may not GET /charge of payments: no rule allows it, and payments-charge names payments"
      )
    )
    expect(await curl(as.orders, "/refund", ...post)).toEqual(denied("may not POST /refund"))
    expect(await curl(as.web, "/charge", ...post)).toEqual(denied("web (on host-a) may not POST"))
    expect(await curl(a.proxy, "/charge", ...post)).toEqual(denied("host/host-a may not POST"))
    // Programs of the host itself are asked no less.
    expect(await curl(b.proxy, "/charge", ...post)).toEqual(denied("host/host-b may not POST"))
    expect(payments.requests).toBe(before)
  })

  it("count and log each decision at the node that takes it", async () => {
    expect(await decisions("payments-charge.allow[0]", "allow")).toBe(1)
    expect(await decisions("unmatched", "deny")).toBe(5)
    await until("the log is written", () =>
      Promise.resolve(logged().filter(({ access }) => access === "deny").length >= 5 || undefined)
    )
    const inbound = logged().filter(({ access, direction }) => direction === "inbound" && access)
    expect(inbound.map(({ access, code, rule }) => `${access} ${rule} ${code}`)).toEqual([
      "allow payments-charge.allow[0] null",
      ...Array.from({ length: 5 }, () => "deny unmatched denied")
    ])
  })

  it("are in the audit log of that node when they deny", async () => {
    const lines = await until("the audit log has them", () => {
      const found = readFileSync(join(b.dataDir, "audit.log"), "utf8")
        .split("\n")
        .filter((line) => line.includes('"access.denied"'))
        .map((line): unknown => JSON.parse(line))
      return Promise.resolve(found.length >= 4 ? found : undefined)
    })
    expect(lines).toContainEqual({
      ...{ time: expect.any(String), node: "host-b", event: "access.denied" },
      ...{ by: "service/web", from: "host-a", about: "payments", code: "unmatched" },
      more: { id: `spiffe://${await meshId()}/service/web` },
      message:
        "web (on host-a) may not POST /charge of payments: no rule allows it, and payments-charge names payments"
    })
  })

  it("refuse paths that the program could read differently", async () => {
    const before = payments.requests
    for (const path of [
      ...["/x/../charge", "//charge", "/./charge", "/charge;a=1", "/%63harge", "/x%2f..%2fcharge"],
      ...["/charge%00", "/%252e%252e/charge", "/%c0%af/charge", "/%2e%2e/charge"]
    ]) {
      expect([path, await curl(as.orders, path, ...post)]).toEqual([
        path,
        denied("there are rules about paths of payments")
      ])
    }
    expect(payments.requests).toBe(before)
  })

  it("let no tunnel through that would hide what is denied", async () => {
    const { stdout } = await run(program("curl"), [
      ...["-sS", "-i", "-p", "--max-time", "20", "-x", as.orders, ...post],
      "http://payments.mesh:80/charge"
    ])
    // Of the answer to a CONNECT curl shows the head alone.
    expect(stdout).toMatch(
      /^HTTP\/1.1 403 .*\r\n(.*\r\n)*skein-error: denied\r\nskein-node: host-b/
    )
    const words = ["access", "check", "orders", "payments", "--data-dir", b.dataDir]
    const { code, stdout: said } = await skein(...words)
    expect([code, said]).toEqual([1, expect.stringContaining("denied: no rule allows it")])
  })

  it("are what `skein access check` says, at any node", async () => {
    const check = (host: Host, ...words: ReadonlyArray<string>) =>
      skein("access", "check", ...words, "--data-dir", host.dataDir)
    const id = `spiffe://${await meshId()}/service`
    const allowed = await check(a, "orders", "payments", "POST", "/charge")
    expect([allowed.code, allowed.stdout]).toEqual([
      0,
      `allowed: rule payments-charge.allow[0] allows it\ncaller: orders (${id}/orders)\nrules about them:\n  → allow payments-charge.allow[0]  { from: orders, methods: POST, path: /charge }\n`
    ])
    const refused = await check(b, "web", "payments", "POST", "/charge")
    expect([refused.code, refused.stdout]).toEqual([
      1,
      `denied: no rule allows it, and payments-charge names payments\ncaller: web (${id}/web)\n`
    ])
  })

  it("name callers as other systems do, too", async () => {
    const id = `spiffe://${await meshId()}/service/orders`
    await apply(rules.replace("from: orders", `from: "${id}"`))
    expect(await curl(as.orders, "/charge", ...post)).toMatchObject({ status: 200 })
    expect(await curl(as.web, "/charge", ...post)).toEqual(denied("web (on host-a) may not POST"))
    const words = ["access", "check", id, "payments", "POST", "/charge", "--data-dir", b.dataDir]
    expect((await skein(...words)).stdout).toContain(`caller: orders (${id})`)
    await apply(rules)
  })

  it("hold at a node that comes back, from its disk, before anything is served", async () => {
    await Promise.all([b.kill(), a.kill()])
    await b.up()
    expect(await curl(b.proxy, "/charge", ...post)).toEqual(denied("host/host-b may not POST"))
    await a.up()
    await until("orders reaches payments again", async () =>
      (await curl(as.orders, "/charge", ...post)).status === 200 ? true : undefined
    )
  })
})

describe("a change of the rules", () => {
  const tunnel = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(ledgerPort, "127.0.0.1", () => {
        socket.once("data", () => resolve(socket))
        socket.write("ping")
      })
      socket.on("error", reject)
    })

  it("cuts what runs and is no longer allowed within a second, and nothing else", async () => {
    const running = curl(as.orders, "/charge?hold", ...post)
    const socket = await tunnel()
    let cutAt = 0
    socket.removeAllListeners("error")
    socket.on("error", () => undefined)
    socket.on("close", () => {
      cutAt = Date.now()
    })
    await until("the program has it", () => Promise.resolve(held.length > 0 || undefined))
    // What is said of others changes nothing here.
    await apply(
      `${rules}---\nkind: access\nname: ledger\nservice: ledger\nallow: [{ from: orders }]\n`
    )
    expect([cutAt, held.some(({ destroyed }) => destroyed)]).toEqual([0, false])
    const closed = new Promise<number>((resolve) => held[0]?.on("close", () => resolve(Date.now())))
    const began = Date.now()
    await apply(
      `kind: access\nname: payments-charge\nservice: payments\nallow: []\n---\nkind: access\nname: ledger\nservice: ledger\nallow: [{ from: web }]\n`
    )
    const applied = Date.now()
    // Its answer had begun: it is broken off. `apply` is a command of its own, which takes time to start.
    expect(await running).toMatchObject({ status: 200 })
    expect((await closed) - applied).toBeLessThan(1_000)
    await until("the tunnel is cut", () => Promise.resolve(cutAt > 0 || undefined))
    expect(cutAt - applied).toBeLessThan(1_000)
    expect(applied).toBeGreaterThan(began)
    expect(await curl(as.orders, "/charge", ...post)).toEqual(
      denied("orders (on host-a) may not POST")
    )
    const refused = connect(ledgerPort, "127.0.0.1")
    await new Promise((resolve) => refused.on("error", () => undefined).on("close", resolve))
  })
})

describe("rules in audit", () => {
  it("let everybody through, say what they would refuse, and are written from what was called", async () => {
    await apply(
      `kind: access\nname: payments-charge\nservice: payments\nmode: audit\nallow: []\n---\nkind: access\nname: ledger\nservice: ledger\nallow: [{ from: orders }]\n`
    )
    for (const id of [17, 18]) {
      expect(await curl(as.orders, `/orders/${id}`)).toMatchObject({ status: 200 })
    }
    expect(await curl(as.orders, "/charge", ...post)).toMatchObject({ status: 200 })
    expect(await decisions("unmatched", "would_deny")).toBe(3)
    // Asked at a node that offers none of it: it asks the one that does.
    const suggested = await skein("access", "suggest", "payments", "--data-dir", a.dataDir)
    expect([suggested.code, suggested.stderr]).toEqual([0, ""])
    expect(suggested.stdout).toContain("# 3 calls seen at host-b.")
    expect(parse(suggested.stdout)).toEqual({
      ...{ kind: "access", name: "payments-charge", service: "payments", mode: "audit" },
      allow: [
        { from: "orders", methods: ["GET"], path: "/orders/{id}" },
        { from: "orders", methods: ["POST"], path: "/charge" }
      ]
    })
    await apply(suggested.stdout.replace("mode: audit\n", ""))
    expect(await curl(as.orders, "/orders/19")).toMatchObject({ status: 200 })
    expect(await curl(as.web, "/orders/19")).toEqual(denied("web (on host-a) may not GET"))
    for (const host of [a, b]) {
      const lint = await skein("access", "lint", "--data-dir", host.dataDir)
      expect(lint.stdout).toMatch(/^unused +payments-charge\.allow\[1\]/m)
      expect(lint.stdout).not.toContain("payments-charge.allow[0]")
      expect([lint.code, lint.stderr]).toEqual([0, ""])
    }
    await b.kill()
    const alone = await skein("access", "lint", "--data-dir", a.dataDir)
    expect(alone.stdout).toBe("Nothing to say about the access rules.\n")
    expect(alone.stderr).toMatch(/of 1 node asked, 1 did not say what they have seen:\n.*host-b: /)
    await b.up()
    await until("payments is there again", async () =>
      (await curl(as.orders, "/charge", ...post)).status === 200 ? true : undefined
    )
  })

  it("are gone when they are deleted", async () => {
    const { code } = await skein("delete", "access", "payments-charge", "--data-dir", a.dataDir)
    expect(code).toBe(0)
    expect(await curl(as.web, "/refund")).toMatchObject({ status: 200 })
  })
})
