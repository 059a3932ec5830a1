/**
 * Who calls: programs that speak for a service by the listener they use, what the program at the other
 * end is told, and what is refused. Two hosts, each a process, and curl.
 */
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Inspector, inspected } from "../fixtures/Inspector.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let app: App
let a: Host
let b: Host
let ports: Record<"orders" | "billing" | "stranger" | "own" | "fixed", number>
const socket = join(mesh.directory, "web.sock")
const uid = process.getuid?.() ?? 0

beforeAll(async () => {
  app = await httpApp("payments", (request, response, body) => {
    // As a program would that passes its answer off as the mesh's.
    if (request.url === "/forge") {
      response.writeHead(503, {
        "skein-error": "no_healthy_endpoint",
        "skein-node": "host-b",
        "Skein-Caller": "root",
        trailer: "skein-error"
      })
      response.addTrailers({ "skein-error": "denied" })
      return response.end("forged")
    }
    response.end(JSON.stringify({ headers: request.headers, body: body.toString() }))
  })
  ports = {
    orders: await freePort(),
    billing: await freePort(),
    stranger: await freePort(),
    own: await freePort(),
    fixed: await freePort()
  }
  b = await mesh.first("host-b", {
    services: [{ name: "payments", address: app.address }],
    telemetry: { accessLog: join(mesh.directory, "b.log") }
  })
  a = await mesh.join("host-a", {
    invite: ["--services", "web", "--as", "orders,shop-*", "--capabilities", "none"],
    listeners: [
      { listen: `127.0.0.1:${ports.orders}`, as: "orders" },
      { listen: `unix:${socket}`, as: "web", mode: "0600" },
      { listen: `127.0.0.1:${ports.billing}`, as: "billing" },
      { listen: `127.0.0.1:${ports.own}`, as: "orders", uid },
      { listen: `127.0.0.1:${ports.stranger}`, as: "orders", uid: uid + 1 }
    ],
    upstreams: [
      { service: "payments", listen: `127.0.0.1:${ports.fixed}`, protocol: "http", as: "shop-1" }
    ]
  })
  await until("payments callable from host-a", async () =>
    (await curl("-x", a.proxy)).status === 200 ? true : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
  await app.close()
})

interface Answered {
  readonly status: number
  /** As they stand, in small letters. */
  readonly head: string
  readonly body: string
}

const curlAt = async (url: string, args: ReadonlyArray<string>): Promise<Answered> => {
  const { stdout } = await run("curl", ["-s", "-i", "--max-time", "10", ...args, url])
  const border = stdout.indexOf("\r\n\r\n")
  const head = stdout.slice(0, border).toLowerCase()
  return { status: Number(head.split(" ")[1]), head, body: stdout.slice(border + 4) }
}
const curl = (...args: ReadonlyArray<string>) => curlAt("http://payments.mesh/charge", args)

/** What the program was told, of a call that came through. */
const told = ({ body, status }: Answered): Record<string, string> => {
  expect(status, body).toBe(200)
  return JSON.parse(body).headers
}

describe("a program at host-b is told who calls", () => {
  it("a host, through the proxy that every program of it may use", async () => {
    expect(told(await curl("-x", a.proxy))["skein-caller"]).toBe("host/host-a")
    expect(told(await curl("-x", b.proxy))["skein-caller"]).toBe("host/host-b")
  })

  it("a service, through its listener: a port, a unix socket, the port of one service", async () => {
    const orders = await curl("-x", `127.0.0.1:${ports.orders}`)
    expect(told(orders)["skein-caller"]).toBe("orders")
    expect(told(await curl("--unix-socket", socket))["skein-caller"]).toBe("web")
    const fixed = await curlAt(`http://127.0.0.1:${ports.fixed}/`, [])
    expect(told(fixed)["skein-caller"]).toBe("shop-1")
    expect(statSync(socket).mode & 0o777).toBe(0o600)
  })

  it("and nothing else, whatever a client says", async () => {
    const forged = [
      "skein-caller: admin",
      "Skein-Caller: root",
      "skein_caller: admin",
      "SKEIN.Caller: x"
    ]
    const args = [...forged, "forwarded: for=1.2.3.4"].flatMap((field) => ["-H", field])
    for (const [to, who] of [
      [["-x", a.proxy], "host/host-a"],
      [["-x", `127.0.0.1:${ports.orders}`], "orders"],
      [["-x", b.proxy], "host/host-b"]
    ] as const) {
      const headers = told(await curl(...to, ...args))
      expect(headers["skein-caller"]).toBe(who)
      expect(Object.keys(headers).filter((name) => /^skein[^a-z]/i.test(name))).toEqual([
        "skein-caller"
      ])
      expect(headers["forwarded"]).toMatch(/^for=1\.2\.3\.4, by=_host-[ab];for=127\.0\.0\.1;/)
    }
  })

  it("in the access log of its node too", async () => {
    await curl("-x", `127.0.0.1:${ports.orders}`)
    const line = await until("a line of orders", () =>
      readFileSync(join(mesh.directory, "b.log"), "utf8")
        .split("\n")
        .find((text) => text.includes('"caller":"host-a","as":"orders"'))
    )
    expect(JSON.parse(line)).toMatchObject({ direction: "inbound", service: "payments" })
  })
})

describe("what is not granted", () => {
  it("is refused, and the refusal names the node and whom it spoke for", async () => {
    const { body, head, status } = await curl("-x", `127.0.0.1:${ports.billing}`)
    expect(status).toBe(403)
    expect(head).toMatch(/skein-error: denied/)
    expect(JSON.parse(body)).toMatchObject({
      code: "denied",
      message:
        "node host-a may not speak for billing: its certificate grants speaking for web, orders, shop-*; an invite with --as billing gives a node that right"
    })
  })

  it("is told by status and doctor", async () => {
    const status = (await a.api("status")) as { callers: ReadonlyArray<unknown> }
    expect(status.callers).toContainEqual({
      address: `127.0.0.1:${ports.billing}`,
      as: "billing",
      id: expect.stringMatching(/^spiffe:\/\/[0-9a-f]{32}\/service\/billing$/),
      granted: false
    })
    expect(status.callers).toContainEqual(
      expect.objectContaining({ address: `unix:${socket}`, as: "web", granted: true })
    )
    const log = a.process?.output() ?? ""
    expect(log).toMatch(/speaks for billing, which this node's certificate does not grant/)
    const { stdout } = await skein("doctor", "--admin", a.admin)
    expect(stdout).toMatch(/speaks for billing, which this node's certificate does not grant/)
  })

  it("is not to be had from somebody who does not hold it", async () => {
    const { code, stderr } = await skein("invite", "--config", a.configPath, "--as", "billing")
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/admit|grant/)
  })
})

// Fails where there is no Linux: `uid` needs it.
describe("a port for one user's processes", () => {
  it("lets those in", async () => {
    const headers = told(await curl("-x", `127.0.0.1:${ports.own}`))
    expect(headers["skein-caller"]).toBe("orders")
  })

  it("tells others that it is not for them", async () => {
    const { body, head, status } = await curl("-x", `127.0.0.1:${ports.stranger}`)
    expect(status).toBe(403)
    expect(head).toMatch(/skein-error: denied/)
    expect(JSON.parse(body).message).toMatch(
      new RegExp(`is for processes of user ${uid + 1} alone`)
    )
    const line = await until("the audit log has it", () =>
      readFileSync(join(a.dataDir, "audit.log"), "utf8")
        .split("\n")
        .find((text) => text.includes('"caller.refused"'))
    )
    expect(JSON.parse(line)).toMatchObject({
      ...{ by: `user ${uid}`, from: `127.0.0.1:${ports.stranger}`, about: "service/orders" },
      code: "other_user"
    })
  })
})

describe("an answer", () => {
  it("of a program cannot pass for one of the mesh", async () => {
    for (const proxy of [a.proxy, b.proxy]) {
      const { body, head, status } = await curlAt("http://payments.mesh/forge", ["-x", proxy])
      expect([status, body]).toEqual([503, "forged"])
      expect(head).not.toMatch(/^skein-/m)
    }
  })
})

describe("a reload", () => {
  it("changes for whom a listener's clients speak", async () => {
    const [orders, web, ...others] = a.options.listeners as ReadonlyArray<object>
    const listeners = [
      { ...orders, as: "shop-2" },
      { ...web, as: "shop-3", mode: "0640", owner: `:${process.getgid?.() ?? 0}` },
      { listen: `127.0.0.1:${ports.billing}` },
      ...others.slice(1)
    ]
    a.options = { ...a.options, listeners }
    a.writeConfig()
    const { code, stderr } = await skein("reload", "--config", a.configPath)
    expect(code, stderr).toBe(0)
    expect(stderr).toMatch(new RegExp(`listener 127.0.0.1:${ports.orders} changed`))
    const headers = told(await curl("-x", `127.0.0.1:${ports.orders}`))
    expect(headers["skein-caller"]).toBe("shop-2")
    // At the same path, with other permissions; and one that asked for too much is a host's by now.
    expect(told(await curl("--unix-socket", socket))["skein-caller"]).toBe("shop-3")
    expect(statSync(socket).mode & 0o777).toBe(0o640)
    const billing = await curl("-x", `127.0.0.1:${ports.billing}`)
    expect(told(billing)["skein-caller"]).toBe("host/host-a")
  })
})

describe("sockets at paths", () => {
  it("are opened again by the request thread that listened there, when it has crashed", async () => {
    const paths = ["one", "two"].map((name) => join(mesh.directory, `${name}.sock`))
    const c = await mesh.join("host-c", {
      runtime: [process.execPath, inspected],
      threads: 2,
      listeners: paths.map((path, index) => ({ listen: `unix:${path}`, as: `crew-${index}` }))
    })
    const served = () =>
      Promise.all(
        paths.map((path, index) =>
          until(`an answer at ${path}`, async () => {
            const answer = await curl("--unix-socket", path)
            if (answer.status !== 200) return undefined
            expect(told(answer)["skein-caller"]).toBe(`crew-${index}`)
            return true
          })
        )
      )
    await served()
    const inspector = await Inspector.open(c)
    for (const thread of [0, 1]) {
      await inspector.crash(thread, `crash ${thread}`)
      await until("it is started again", () =>
        c.process?.output().includes(`request thread ${thread} has crashed`) ? true : undefined
      )
      await served()
    }
    inspector.close()
  })
})

describe("a node that was killed", () => {
  it("takes over the socket that it left", async () => {
    await a.kill()
    expect(statSync(socket).isSocket()).toBe(true)
    await a.up()
    const answer = await until("an answer at the socket", async () => {
      const answer = await curl("--unix-socket", socket)
      return answer.status === 200 ? answer : undefined
    })
    expect(told(answer)["skein-caller"]).toBe("shop-3")
  })
})
