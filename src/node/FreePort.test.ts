import { once } from "node:events"
import net from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { freePort } from "./FreePort.ts"

const servers: Array<net.Server> = []
afterEach(async () => {
  await Promise.all(
    servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)))
  )
})

const occupy = async (options: net.ListenOptions): Promise<number> => {
  const server = net.createServer().listen({ port: 0, host: "127.0.0.1", ...options })
  servers.push(server)
  await once(server, "listening")
  return (server.address() as net.AddressInfo).port // a TCP server has one
}

describe("whether a port is free", () => {
  it("no, while somebody listens, also one that shares it", async () => {
    for (const options of [{}, { reusePort: true }]) {
      const port = await occupy(options)
      await expect(freePort({ host: "127.0.0.1", port })).rejects.toMatchObject({
        name: "ListenError",
        code: "address_in_use",
        address: `127.0.0.1:${port}`
      })
    }
  })

  it("no, when it is asked for on all addresses and somebody has it on one", async () => {
    const port = await occupy({})
    await expect(freePort({ host: "0.0.0.0", port })).rejects.toMatchObject({
      code: "address_in_use"
    })
  })

  it("yes, once it is closed, and the answer leaves it free", async () => {
    const port = await occupy({})
    await new Promise((resolve) => servers.pop()?.close(resolve))
    await freePort({ host: "127.0.0.1", port })
    await freePort({ host: "127.0.0.1", port })
    await occupy({ port })
  })

  it("not here: an address of another host is told as such", async () => {
    await expect(freePort({ host: "192.0.2.7", port: 4_140 })).rejects.toMatchObject({
      code: "address_not_local"
    })
  })
})
