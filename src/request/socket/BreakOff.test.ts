import { mkdtempSync, rmSync } from "node:fs"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, it } from "vitest"
import { breakOff } from "./BreakOff.ts"

const directory = mkdtempSync(join(tmpdir(), "skein-break-"))
afterAll(() => rmSync(directory, { recursive: true }))

/** What the client sees of a server that breaks off. */
const seen = async (listen: net.ListenOptions): Promise<string> => {
  const server = net.createServer((socket) => breakOff(socket.on("error", () => {})))
  await new Promise<void>((resolve) => server.listen(listen, resolve))
  const address = server.address()
  const to =
    typeof address === "string"
      ? { path: address }
      : { host: "127.0.0.1", port: address === null ? 0 : address.port }
  const end = await new Promise<string>((resolve) => {
    const socket = net.connect(to)
    socket.resume()
    socket.on("error", (error) => resolve("code" in error ? String(error.code) : error.message))
    socket.on("close", () => resolve("closed"))
  })
  await new Promise((resolve) => server.close(resolve))
  return end
}

it("a TCP connection is reset", async () => {
  expect(await seen({ port: 0, host: "127.0.0.1" })).toBe("ECONNRESET")
})

it("a unix socket is closed, and nothing is thrown", async () => {
  expect(await seen({ path: join(directory, "sock") })).toBe("closed")
})
