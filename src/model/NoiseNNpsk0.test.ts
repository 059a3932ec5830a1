import { createCipheriv, createPrivateKey, randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import {
  type EphemeralKey,
  ephemeralKey,
  NoiseError,
  NoiseInitiator,
  type NoiseKeys,
  NoiseResponder,
  noiseOverhead
} from "./NoiseNNpsk0.ts"

const hex = (text: string): Buffer => Buffer.from(text, "hex")

/** PKCS #8 around a bare X25519 key (RFC 8410). */
const privateKey = (raw: string): EphemeralKey =>
  ephemeralKey(
    createPrivateKey({
      key: hex(`302e020100300506032b656e04220420${raw}`),
      format: "der",
      type: "pkcs8"
    })
  )

/** Published test vector: haskell-cryptography/cacophony, vectors/cacophony.txt, this protocol. */
const vector = {
  prologue: "4a6f686e2047616c74",
  secret: "54686973206973206d7920417573747269616e20706572737065637469766521",
  initiator: "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
  responder: "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
  hash: "9f3b1f9afd7767767b5b9d1069844a6154fdbdcc36dfb3e31c0fffc5c973d530",
  handshake: [
    {
      payload: "4c756477696720766f6e204d69736573",
      message:
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79447c37a89fc17813788d30df2d59501d6066f5f8aecc3406bbd9829f2d24a531b1"
    },
    {
      payload: "4d757272617920526f746862617264",
      message:
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088432f29d79368ef9de4e1ae7a362fb05bf0ad668e026bf5714554497b3a720461"
    }
  ],
  /** After the handshake, in turns, beginning with the initiator. */
  transport: [
    {
      payload: "462e20412e20486179656b",
      message: "7c01e898a6201f36aecee532e29cd0b7f8ffa29d3366ad0dce39a6"
    },
    {
      payload: "4361726c204d656e676572",
      message: "a9ff535aace3db6a1da1a7fb00fe2de2622bb373abad9fb42c00e0"
    },
    {
      payload: "4a65616e2d426170746973746520536179",
      message: "6cfc49a3e65472edc2d0152abe5ce950170a8a47c959f30bd48b5f0aacf29adbfd"
    },
    {
      payload: "457567656e2042f6686d20766f6e2042617765726b",
      message: "9bc86e6d974ed21ba04604a94aa68de21677eb409ead070c0cd569b069ee19ba142aa4c1a9"
    }
  ]
} as const

/** A transport message of the specification, to see that the keys are those of the vector. */
const transport = (key: Buffer, number: number, payload: string): string => {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(number, 8)
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 })
  return Buffer.concat([cipher.update(hex(payload)), cipher.final(), cipher.getAuthTag()]).toString(
    "hex"
  )
}

const pair = (
  prologue: Uint8Array = Buffer.from("p"),
  secret: Uint8Array = Buffer.alloc(32, 7)
) => ({
  initiator: new NoiseInitiator({ secret, prologue }),
  responder: new NoiseResponder({ secret, prologue })
})

/** Of one handshake with these payloads. */
const shake = (forth: Uint8Array, back: Uint8Array) => {
  const { initiator, responder } = pair()
  const read = responder.read(initiator.write(forth))
  const { message, keys } = responder.write(back)
  return { read, answered: keys, ...initiator.read(message) }
}

const flip = (bytes: Buffer, bit: number): Buffer => {
  const altered = Buffer.from(bytes)
  altered[bit >> 3]! ^= 1 << (bit & 7)
  return altered
}

describe("Noise NNpsk0", () => {
  it("says what the published vector says, byte for byte, on both sides", () => {
    const secret = hex(vector.secret)
    const prologue = hex(vector.prologue)
    const [first, second] = vector.handshake
    const initiator = new NoiseInitiator({
      secret,
      prologue,
      ephemeral: privateKey(vector.initiator)
    })
    const responder = new NoiseResponder({
      secret,
      prologue,
      ephemeral: privateKey(vector.responder)
    })
    const message = initiator.write(hex(first.payload))
    expect(message.toString("hex")).toBe(first.message)
    expect(responder.read(message).toString("hex")).toBe(first.payload)
    const answer = responder.write(hex(second.payload))
    expect(answer.message.toString("hex")).toBe(second.message)
    const { payload, keys } = initiator.read(answer.message)
    expect(payload.toString("hex")).toBe(second.payload)
    expect(keys.hash.toString("hex")).toBe(vector.hash)
    expect(answer.keys).toEqual({ send: keys.receive, receive: keys.send, hash: keys.hash })
    for (const [i, { payload, message }] of vector.transport.entries()) {
      const key = i % 2 === 0 ? keys.send : keys.receive
      expect(transport(key, Math.floor(i / 2), payload)).toBe(message)
    }
  })

  it("carries payloads of any length, and ends with the same keys on both sides", () => {
    const bytes = fc.uint8Array({ maxLength: 300 })
    fc.assert(
      fc.property(bytes, bytes, (forth, back) => {
        const { read, payload, keys, answered } = shake(forth, back)
        expect(read).toEqual(Buffer.from(forth))
        expect(payload).toEqual(Buffer.from(back))
        expect(answered).toEqual({ send: keys.receive, receive: keys.send, hash: keys.hash })
      }),
      { numRuns: 30 }
    )
  })

  it("has keys of its own every time, and a key of its own each way", () => {
    const nothing = Buffer.alloc(0)
    const all = Array.from({ length: 5 }, () => shake(nothing, nothing).keys)
    const texts = all.flatMap(({ send, receive, hash }: NoiseKeys) =>
      [send, receive, hash].map((it) => it.toString("hex"))
    )
    expect(new Set(texts).size).toBe(15)
  })

  it("fails when any bit of the first message is changed", () => {
    const { initiator } = pair()
    const message = initiator.write(Buffer.from("x"))
    for (let bit = 0; bit < message.length * 8; bit++) {
      // X25519 ignores the highest bit of a key, but the hash does not.
      const { responder } = pair()
      expect(() => responder.read(flip(message, bit)), `${bit}`).toThrow(NoiseError)
    }
    expect(pair().responder.read(message)).toEqual(Buffer.from("x"))
  })

  it("fails when any bit of the second message is changed", () => {
    const secret = Buffer.alloc(32, 7)
    const prologue = Buffer.from("p")
    const ephemeral = privateKey(vector.initiator)
    const again = () => {
      const initiator = new NoiseInitiator({ secret, prologue, ephemeral })
      return { initiator, message: initiator.write(Buffer.alloc(0)) }
    }
    const { responder } = pair()
    responder.read(again().message)
    const { message } = responder.write(Buffer.from("y"))
    for (let bit = 0; bit < message.length * 8; bit++) {
      expect(() => again().initiator.read(flip(message, bit)), `${bit}`).toThrow(NoiseError)
    }
    expect(again().initiator.read(message).payload).toEqual(Buffer.from("y"))
  })

  it("fails with another secret or another prologue, before the responder answers", () => {
    const message = pair().initiator.write(Buffer.alloc(0))
    const others = [
      pair(Buffer.from("q")),
      pair(Buffer.alloc(0)),
      pair(Buffer.from("p"), randomBytes(32))
    ]
    for (const { responder } of others) expect(() => responder.read(message)).toThrow(NoiseError)
  })

  it("fails when cut short, and when a part is missing or too much", () => {
    const message = pair().initiator.write(Buffer.from("abc"))
    for (let length = 0; length < message.length; length++) {
      expect(() => pair().responder.read(message.subarray(0, length))).toThrow(NoiseError)
    }
    const longer = Buffer.concat([message, Buffer.alloc(1)])
    expect(() => pair().responder.read(longer)).toThrow(NoiseError)
    expect(message).toHaveLength(noiseOverhead + 3)
  })

  it("refuses keys of low order, with which the outcome would be known to everybody", () => {
    const zero = { ...privateKey(vector.initiator), publicKey: Buffer.alloc(32) }
    const options = { secret: Buffer.alloc(32, 7), prologue: Buffer.from("p") }
    const initiator = new NoiseInitiator({ ...options, ephemeral: zero })
    const { responder } = pair()
    responder.read(initiator.write(Buffer.alloc(0)))
    expect(() => responder.write(Buffer.alloc(0))).toThrow(NoiseError)
  })

  it("takes no secret of another length", () => {
    const options = { secret: Buffer.alloc(31), prologue: Buffer.alloc(0) }
    expect(() => new NoiseInitiator(options)).toThrow(/31 bytes, not 32/)
  })
})
