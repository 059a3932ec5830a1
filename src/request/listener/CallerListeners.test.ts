/** Listeners whose clients speak for a service, at a path or for one user alone. */
import { once } from "node:events"
import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { hostCaller, serviceCaller } from "../../model/Caller.ts"
import { NodeName, ServiceName } from "../../model/Names.ts"
import { self } from "../../testing/InboundFixture.ts"
import { HoldingCallee, makeContext } from "../../testing/ListenerFixture.ts"
import { type HttpListener, type HttpListenerOptions, openHttpListener } from "./HttpListener.ts"
import { openTcpListener } from "./TcpListener.ts"

const orders = serviceCaller(ServiceName.make("orders"))
const request =
  "GET / HTTP/1.1\r\nhost: payments.mesh\r\nskein-caller: admin\r\nskein_caller: admin\r\n\r\n"

let dir: string
let context: ReturnType<typeof makeContext>
let callee: HoldingCallee
const clients: Array<net.Socket> = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "listeners-"))
  context = makeContext()
  callee = new HoldingCallee()
})
afterEach(() => {
  context.dispose()
  for (const client of clients.splice(0)) client.destroy()
  rmSync(dir, { recursive: true })
})

const listen = (change: Partial<HttpListenerOptions>): Promise<HttpListener> =>
  context.open(openHttpListener({ ...context.base, dispatch: callee.dispatch, ...change }))

const at = (path: string, mode = 0o600): Partial<HttpListenerOptions> => ({
  host: `unix:${path}`,
  unix: { path, mode, uid: undefined, gid: undefined }
})

/** What is answered to one request, until the end or a second head's worth. */
const ask = (to: net.NetConnectOpts): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(to, () => socket.write(request))
    clients.push(socket)
    let text = ""
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1")
      if (text.includes("\r\n\r\n")) resolve(text)
    })
    socket.on("end", () => resolve(text))
    socket.on("error", reject)
  })

describe("a listener", () => {
  it("says for whom its clients speak, whatever they say themselves", async () => {
    const first = await listen({})
    const second = await listen({ identity: orders })
    for (const [{ address }, identity] of [
      [first, hostCaller(NodeName.make(self.node))],
      [second, orders]
    ] as const) {
      const answer = ask({ host: "127.0.0.1", port: address.port })
      const held = await callee.next()
      expect(held.call.identity).toEqual(identity)
      expect(held.call.head?.fields.join(" ").toLowerCase()).not.toMatch(/skein.caller/)
      held.respond(200, "well")
      expect(await answer).toMatch(/^HTTP\/1.1 200 /)
    }
  })

  it("may be at a path, with the permissions it was given, and takes it with it", async () => {
    const path = join(dir, "orders.sock")
    const listener = await listen({ ...at(path, 0o660), identity: orders })
    expect(listener.address).toEqual({ host: `unix:${path}`, port: 0 })
    expect(statSync(path).mode & 0o777).toBe(0o660)
    const answer = ask({ path })
    const held = await callee.next()
    expect(held.call.identity).toBe(orders)
    held.respond(200, "well")
    expect(await answer).toMatch(/well$/)
    listener.close()
    await new Promise((resolve) => setImmediate(resolve))
    expect(() => statSync(path)).toThrow(/ENOENT/)
  })

  it("takes the place of a socket that was left behind, and of nothing else", async () => {
    const path = join(dir, "orders.sock")
    // As a process leaves it that is killed: a server removes its own by the name it knew.
    const killed = net.createServer().listen(join(dir, "a"))
    await once(killed, "listening")
    renameSync(join(dir, "a"), path)
    await new Promise((resolve) => killed.close(resolve))
    expect(statSync(path).isSocket()).toBe(true)
    await listen(at(path))
    await expect(listen(at(path))).rejects.toMatchObject({ code: "address_in_use" })
    const file = join(dir, "file")
    writeFileSync(file, "precious")
    await expect(listen(at(file))).rejects.toThrow(/a file that is no socket/)
    await expect(listen(at(join(dir, "none", "x.sock")))).rejects.toThrow(
      /directory does not exist/
    )
  })
})

// Fails where there is no Linux: `uid` needs it.
describe("a listener for one user", () => {
  const uid = process.getuid?.() ?? 0

  it("takes the connections of that user's processes", async () => {
    const { address } = await listen({ identity: orders, uid })
    const answers = [1, 2, 3].map(() => ask({ host: "127.0.0.1", port: address.port }))
    for (const _ of answers) (await callee.next()).respond(200, "well")
    for (const answer of answers) expect(await answer).toMatch(/well$/)
  })

  it("of one service carries that user's tunnels and resets others", async () => {
    const common = { ...context.base, dispatch: callee.dispatch, identity: orders }
    const tunnel = { ...common, service: ServiceName.make("ledger") }
    const own = await context.open(openTcpListener({ ...tunnel, uid }))
    const client = net.connect(own.address.port, "127.0.0.1", () => client.write("well"))
    clients.push(client)
    const held = await callee.next()
    expect(held.call).toMatchObject({ kind: "tcp", service: "ledger", identity: orders })
    await held.until(() => held.text === "well")
    const other = await context.open(openTcpListener({ ...tunnel, uid: uid + 1 }))
    const stranger = net.connect(other.address.port, "127.0.0.1")
    clients.push(stranger)
    const [error] = (await once(stranger, "error")) as [NodeJS.ErrnoException]
    expect(error.code).toBe("ECONNRESET")
    expect(callee.exchanges).toHaveLength(1)
  })

  it("tells others that it is not for them", async () => {
    const { address } = await listen({ identity: orders, uid: uid + 1 })
    const answer = await ask({ host: "127.0.0.1", port: address.port })
    expect(answer).toMatch(/^HTTP\/1.1 403 /)
    expect(answer).toMatch(/skein-error: denied/)
    expect(answer).toMatch(new RegExp(`is for processes of user ${uid + 1} alone`))
    expect(callee.exchanges).toHaveLength(0)
  })
})
