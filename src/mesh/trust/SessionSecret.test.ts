import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
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
      expect(other.resumption.id).not.toBe(session.resumption.id)
      expect(other.resumption.secret).not.toEqual(session.resumption.secret)
    }
  })

  it("says nothing to request threads of what the mesh thread resumes by", () => {
    const { id, resumption, secret } = sessionOf(randomBytes(32), randomBytes(32))
    expect(resumption.id).toMatch(/^[0-9a-f]{32}$/)
    expect(resumption.secret).toHaveLength(32)
    expect(resumption.id).not.toBe(id)
    expect(resumption.secret).not.toEqual(secret)
  })

  it("has an id of 16 bytes in hex and a secret of 32", () => {
    const { id, secret } = sessionOf(randomBytes(32), randomBytes(32))
    expect(id).toMatch(/^[0-9a-f]{32}$/)
    expect(secret).toHaveLength(32)
  })

  it("stays what it is from release to release: two of them may meet", () => {
    const { id, resumption, secret } = sessionOf(Buffer.alloc(32, 1), Buffer.alloc(32, 2))
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
    const resumes = { id: resumption.id, secret: hex(resumption.secret) }
    expect(resumes).toMatchInlineSnapshot(`
      {
        "id": "647147adbe74cf8c0dc455c1833ea896",
        "secret": "85cf366ae7b82bd37eaa48918f9dc1d71fd6ed8ab2caa9bcc707749064a9b614",
      }
    `)
    expect({ id, secret: hex(secret) }).toMatchInlineSnapshot(`
      {
        "id": "458a97cb10235ebd54fef44faa10e43a",
        "secret": "8e8c4a6a2151f02ef079c021c086cd91a85ebcd9afebcc0a48454fd5e6960072",
      }
    `)
  })
})
