import type { AddressInfo } from "node:net"
import * as net from "node:net"
import { expect, it } from "vitest"
import { dialNode } from "./NodeDial.ts"

it("calls who closes a connection without a word no node, and says where the right place stands", async () => {
  const other = net.createServer((socket) => socket.end())
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
  try {
    const { port } = other.address() as AddressInfo // it listens on a port
    const dialled = dialNode({ host: "127.0.0.1", port }, {}, new AbortController().signal)
    await expect(dialled).rejects.toThrow(
      /^what listens there closed the connection without an answer.*or no node.*`programs\.listen`/
    )
  } finally {
    other.close()
  }
})
