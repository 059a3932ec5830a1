import { noise } from "@chainsafe/libp2p-noise"
import type { MessageStream } from "@libp2p/interface"
import { peerIdFromPrivateKey } from "@libp2p/peer-id"
import { multiaddrConnectionPair } from "@libp2p/utils"
import { afterEach, describe, expect, it, vi } from "vitest"
import { readLengthsQuietly } from "./NoiseLengths.ts"
import { generateSigningKey } from "./SigningKey.ts"

afterEach(() => {
  vi.unstubAllGlobals()
})

const host = (log: MessageStream["log"]) => {
  const privateKey = generateSigningKey()
  const logger = { forComponent: () => log }
  const upgrader = { getStreamMuxers: () => new Map(), getConnectionEncrypters: () => new Map() }
  const peerId = peerIdFromPrivateKey(privateKey)
  const components = { privateKey, peerId, logger, upgrader }
  return noise()(components as unknown as Parameters<ReturnType<typeof noise>>[0])
}

/** Both ends of a connection that Noise secures, where what is said comes in pieces of so many bytes. */
const secure = async (piece: number) => {
  const [dialler, near] = multiaddrConnectionPair({ delay: 0 })
  const [far, listener] = multiaddrConnectionPair({ delay: 0 })
  near.addEventListener("message", ({ data }) => {
    const bytes = data.subarray()
    for (let at = 0; at < bytes.length; at += piece) far.send(bytes.slice(at, at + piece))
  })
  far.addEventListener("message", ({ data }) => near.send(data))
  const options = { skipStreamMuxerNegotiation: true }
  const [one, other] = await Promise.all([
    host(dialler.log).secureOutbound(dialler, options),
    host(listener.log).secureInbound(listener, options)
  ])
  return [one.connection, other.connection] as const
}

/** Answers with what came, and how often a length was missed by an error. */
const talk = async (piece: number, quiet: boolean) => {
  const [from, to] = await secure(piece)
  if (quiet) readLengthsQuietly(to)
  let errors = 0
  const counted = new Proxy(RangeError, {
    apply: (made, self, said) => {
      errors++
      return Reflect.apply(made, self, said)
    }
  })
  vi.stubGlobal("RangeError", counted)
  let heard = ""
  to.addEventListener("message", ({ data }) => {
    heard += Buffer.from(data.subarray()).toString()
  })
  for (let n = 0; n < 20; n++) from.send(Buffer.from("x".repeat(n * 7) + n))
  const said = Array.from({ length: 20 }, (_, n) => "x".repeat(n * 7) + n).join("")
  await vi.waitFor(() => expect(heard).toBe(said), { interval: 1 })
  vi.unstubAllGlobals()
  return errors
}

describe("what is read of Noise", () => {
  it.each([1, 2, 3, 50, 10_000])(
    "is the same in pieces of %i bytes, without errors",
    async (piece) => {
      expect(await talk(piece, true)).toBe(0)
    }
  )

  it("takes errors where the library reads it", async () => {
    expect(await talk(10_000, false)).toBeGreaterThan(0)
  })

  it("is left alone where it is something else", () => {
    const [stream] = multiaddrConnectionPair({ delay: 0 })
    expect(() => readLengthsQuietly(stream)).not.toThrow()
  })
})
