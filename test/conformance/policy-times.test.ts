/**
 * The times of the caller's policy at the endpoint's node: a program whose queue of connections is
 * full is given up after `timeout.connect`, wherever it runs, and a silent tunnel lives as long as
 * `timeout.tcpIdle` says.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { afterEach, describe, expect, it } from "vitest"
import { rawProgram } from "../../src/testing/InboundFixture.ts"
import { type PlaneHost, payments, request, TwoHosts, turn } from "./TwoHosts.ts"

/**
 * Listens and never accepts; its own connections fill the queue, so the kernel answers no more.
 * In Python because Node accepts whatever comes.
 */
const fullQueue = `
import socket, sys
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen(0)
mine = [socket.socket() for _ in range(4)]
for it in mine:
    it.setblocking(False)
    it.connect_ex(listening.getsockname())
print(listening.getsockname()[1], flush=True)
sys.stdin.read()
`

let mesh: TwoHosts
const children: Array<ChildProcess> = []
afterEach(async () => {
  await mesh.stop()
  for (const child of children.splice(0)) child.kill("SIGKILL")
})

const startFullProgram = (): Promise<number> => {
  const python = spawn("python3", ["-c", fullQueue], { stdio: ["pipe", "pipe", "inherit"] })
  children.push(python)
  return new Promise((resolve, reject) => {
    python.stdout.once("data", (text: Buffer) => resolve(Number(text.toString())))
    python.once("error", reject)
    python.once("exit", reject)
  })
}

/** Offers the program on one host, as every host sees it. */
const offer = (host: PlaneHost, protocol: "http" | "tcp", port: number, local: boolean): void => {
  const endpoint = { id: "0", host: "127.0.0.1", port, weight: 100 }
  host.inbound.setServices([{ name: payments, protocol, endpoints: [endpoint] }])
  const { peer, node } = host.self
  const view = {
    key: `${peer}/payments/0`,
    peer,
    node,
    zone: undefined,
    endpoint: "0",
    healthy: true,
    draining: false,
    member: "alive",
    weight: 100,
    local
  } as const
  mesh.view.set(new Map([[payments, { name: payments, protocol, endpoints: [view] }]]))
}

describe.each([
  ["shorter than the endpoint's own limit", 120],
  ["longer than the endpoint's own limit", 2_000]
])("timeout.connect %s", (_, connect) => {
  it.each([
    ["on another host", false],
    ["on the caller's host", true]
  ])("bounds the wait for a program %s", async (_where, local) => {
    mesh = await new TwoHosts({ timeout: { connect: `${connect}ms` }, retry: "off" }).start()
    const host = local ? mesh.a : mesh.b
    offer(host, "http", await startFullProgram(), local)
    const client = mesh.client().send(request("GET"))
    while (host.inbound.endpoints()[0]?.connections !== 1) await turn()
    host.ticker.advance(connect - 20)
    expect(host.inbound.inFlight).toBe(1)
    for (let turns = 0; turns < 50; turns++) await turn()
    expect(client.text).toBe("")
    host.ticker.advance(30)
    await client.receives(/hint/)
    expect(client.text).toMatch(/skein-error: upstream_connect/)
    expect(client.text).toContain(`skein-node: ${host.self.node}`)
    expect(client.text).toContain(`no connection within ${connect} ms`)
    await mesh.idle()
  })

  it("bounds the wait of a tunnel", async () => {
    mesh = await new TwoHosts({ timeout: { connect: `${connect}ms` }, retry: "off" }).start()
    offer(mesh.b, "tcp", await startFullProgram(), false)
    const { address } = await mesh.tcp()
    mesh.client(address.port).send("bytes")
    while (mesh.b.inbound.endpoints()[0]?.connections !== 1) await turn()
    mesh.b.ticker.advance(connect - 20)
    for (let turns = 0; turns < 50; turns++) await turn()
    expect(mesh.b.inbound.inFlight).toBe(1)
    mesh.b.ticker.advance(30)
    await mesh.idle()
    const outcome = mesh.a.observer.seen[0]?.ends[0]?.outcome
    expect(outcome).toMatchObject({ kind: "fault", code: "upstream_connect" })
  })
})

describe("timeout.perTry shorter than the default of timeout.connect", () => {
  it("ends what has not connected as upstream_connect: nothing was sent", async () => {
    const timeout = { perTry: "300ms" } as const
    mesh = await new TwoHosts({ timeout, retry: "off" }).start()
    offer(mesh.b, "http", await startFullProgram(), false)
    const client = mesh.client().send(request("GET"))
    while (mesh.b.inbound.endpoints()[0]?.connections !== 1) await turn()
    for (const { ticker } of mesh.hosts) ticker.advance(160)
    await client.receives(/hint/)
    expect(client.text).toMatch(/skein-error: upstream_connect/)
    await mesh.idle()
  })
})

describe("timeout.tcpIdle", () => {
  it.each([
    ["shorter than the default", 60_000],
    ["longer than the default", 3 * 3_600_000]
  ])("%s is how long a tunnel may be silent", async (_, idle) => {
    mesh = await new TwoHosts({ timeout: { tcpIdle: `${idle}ms` } }).start()
    await mesh.offer(
      rawProgram((socket) => socket.on("data", () => socket.write("hello"))),
      "tcp"
    )
    const { address } = await mesh.tcp()
    const client = mesh.client(address.port).send("bytes")
    await client.receives(/hello/)
    // The clocks of both hosts, in steps that a link's heartbeat survives.
    const pass = async (time: number) => {
      for (const { ticker } of mesh.hosts) ticker.advance(time)
      for (let turns = 0; turns < 3; turns++) await turn()
    }
    for (let passed = 0; passed < idle - 2_000; passed += 1_000) await pass(1_000)
    expect(mesh.b.inbound.inFlight).toBe(1)
    for (let passed = 0; passed < 4_000; passed += 1_000) await pass(1_000)
    await mesh.idle()
    expect(mesh.a.observer.seen[0]?.ends[0]?.outcome).toMatchObject({ code: "upstream_timeout" })
  })
})
