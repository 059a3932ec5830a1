import { once } from "node:events"
import net from "node:net"
import { afterEach, expect, it, vi } from "vitest"
import { ManualTicker } from "../../testing/LinkTestPair.ts"
import { Doorstep } from "./Doorstep.ts"

const closers: Array<() => unknown> = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const make = async () => {
  const ticker = new ManualTicker()
  const doorstep = new Doorstep(ticker, { most: 2, wait: 1_000 })
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined)
    doorstep.add(socket, Buffer.from("later"))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  closers.push(() => server.close())
  const bound = server.address()
  const port = typeof bound === "object" ? (bound?.port ?? 0) : 0
  const come = async () => {
    const socket = net.connect(port, "127.0.0.1")
    const end = { said: "", closed: false, socket }
    socket.on("error", () => undefined)
    socket.on("data", (bytes) => {
      end.said += String(bytes)
    })
    socket.on("close", () => {
      end.closed = true
    })
    closers.push(() => socket.destroy())
    await once(socket, "connect")
    socket.write("let me in")
    return end
  }
  return { ticker, doorstep, come }
}
const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 5_000, interval: 1 })

it("says what is to be said after a while, and closes", async () => {
  const { come, doorstep, ticker } = await make()
  const one = await come()
  await eventually(() => expect(doorstep.size).toBe(1))
  ticker.advance(999)
  expect([one.said, doorstep.size]).toEqual(["", 1])
  ticker.advance(1)
  await eventually(() => expect([one.said, one.closed]).toEqual(["later", true]))
  expect(doorstep.size).toBe(0)
})

it("sends the first off when there is no room, and forgets who has gone", async () => {
  const { come, doorstep } = await make()
  const one = await come()
  await eventually(() => expect(doorstep.size).toBe(1))
  const two = await come()
  await eventually(() => expect(doorstep.size).toBe(2))
  const three = await come()
  await eventually(() => expect([one.said, one.closed]).toEqual(["later", true]))
  expect([two.closed, three.closed, doorstep.size]).toEqual([false, false, 2])
  doorstep.close()
  await eventually(() => expect([two.said, three.said]).toEqual(["later", "later"]))
  expect(doorstep.size).toBe(0)
})
