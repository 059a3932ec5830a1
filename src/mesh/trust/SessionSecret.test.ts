import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import { recordSecrets } from "../../request/wire/RecordCipher.ts"
import { sessionOf } from "./SessionSecret.ts"

describe("a session", () => {
  it("is the same from the same secrets, and another when either is another", () => {
    const [dialler, listener] = [randomBytes(32), randomBytes(32)]
    const session = sessionOf(dialler, listener)
    expect(sessionOf(Uint8Array.from(dialler), Uint8Array.from(listener))).toEqual(session)
    const others = [
      sessionOf(listener, dialler),
      sessionOf(randomBytes(32), listener),
      sessionOf(dialler, randomBytes(32))
    ]
    for (const other of others) {
      expect(other.id).not.toBe(session.id)
      expect(other.secret).not.toEqual(session.secret)
    }
  })

  it("has an id of 16 bytes in hex and a secret of 32", () => {
    const { id, secret } = sessionOf(randomBytes(32), randomBytes(32))
    expect(id).toMatch(/^[0-9a-f]{32}$/)
    expect(secret).toHaveLength(32)
  })

  it("is neither key of the connection's records, nor is its id a part of one", () => {
    const [dialler, listener] = [randomBytes(32), randomBytes(32)]
    const { id, secret } = sessionOf(dialler, listener)
    const { dialled, answered } = recordSecrets(dialler, listener)
    const texts = [secret, dialled, answered].map((it) => Buffer.from(it).toString("hex"))
    expect(new Set(texts).size).toBe(3)
    expect(texts.some((text) => text.includes(id))).toBe(false)
  })

  it("stays what it is from release to release: two of them may meet", () => {
    const { id, secret } = sessionOf(Buffer.alloc(32, 1), Buffer.alloc(32, 2))
    expect({ id, secret: Buffer.from(secret).toString("hex") }).toMatchInlineSnapshot(`
      {
        "id": "458a97cb10235ebd54fef44faa10e43a",
        "secret": "8e8c4a6a2151f02ef079c021c086cd91a85ebcd9afebcc0a48454fd5e6960072",
      }
    `)
  })
})
