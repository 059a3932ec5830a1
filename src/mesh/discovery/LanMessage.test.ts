import { decode, encode } from "@dnsquery/dns-packet"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { MeshId, PeerKey } from "../../model/Names.ts"
import {
  decodeLanMessage,
  encodeAnswer,
  encodeQuestion,
  type LanMessage,
  maxLanMessage
} from "./LanMessage.ts"

const mesh = MeshId.make("00112233445566778899aabbccddeeff")
const other = MeshId.make("ffeeddccbbaa99887766554433221100")
const peer = PeerKey.make("12D3KooWBobBobBobBobBobBobBobBobBobBobBobBobBobBobBo")
const word = { peer, port: 4_001, ttl: 900 }

describe("what is said on a LAN", () => {
  it("comes out as it went in, for the same mesh", () => {
    expect(decodeLanMessage(encodeQuestion(mesh), mesh)).toEqual({ kind: "question" })
    for (const said of [word, { ...word, port: 65_535, ttl: 0 }]) {
      const answer: LanMessage = { kind: "answer", words: [said] }
      expect(decodeLanMessage(encodeAnswer(mesh, said), mesh)).toEqual(answer)
    }
  })

  it("means nothing to another mesh", () => {
    expect(decodeLanMessage(encodeQuestion(mesh), other)).toBeUndefined()
    expect(decodeLanMessage(encodeAnswer(mesh, word), other)).toBeUndefined()
  })

  it("holds neither the mesh's id nor anything but a port and a peer", () => {
    for (const bytes of [encodeQuestion(mesh), encodeAnswer(mesh, word)]) {
      const text = Buffer.from(bytes).toString("latin1")
      expect(text).not.toContain(mesh)
      expect(Buffer.from(bytes).includes(Buffer.from(mesh, "hex"))).toBe(false)
    }
    const name = expect.stringMatching(/^_[0-9a-f]{32}\._sub\._skein\._tcp\.local$/)
    const [question] = decode(encodeQuestion(mesh)).questions ?? []
    expect(question).toMatchObject({ type: "PTR", name })
    const answer = decode(encodeAnswer(mesh, word))
    expect(answer).toMatchObject({ questions: [], authorities: [], additionals: [] })
    expect(
      answer.answers?.map(({ name, type, ...rest }) => [type, name, "data" in rest && rest.data])
    ).toEqual([
      ["PTR", name, `${peer}._skein._tcp.local`],
      [
        "SRV",
        `${peer}._skein._tcp.local`,
        { priority: 0, weight: 0, port: 4_001, target: `${peer}.local` }
      ]
    ])
  })

  it("is no more than it can be from a peer with a place", () => {
    const name = "_x._tcp.local"
    const strange = [
      encode({ type: "response", answers: [] }),
      encode({ type: "query", questions: [{ type: "PTR", name }] }),
      encode({ type: "response", answers: [{ type: "PTR", name, data: `${peer}.${name}` }] }),
      encodeAnswer(mesh, { ...word, port: 0 }),
      new Uint8Array(maxLanMessage + 1)
    ]
    for (const bytes of strange) expect(decodeLanMessage(bytes, mesh)).toBeUndefined()
  })

  it("survives any bytes, and any damage", () => {
    const whole = encodeAnswer(mesh, word)
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600 }),
        fc.nat(whole.length - 1),
        fc.nat(255),
        (bytes, at, value) => {
          decodeLanMessage(bytes, mesh)
          const damaged = Uint8Array.from(whole)
          damaged[at] = value
          decodeLanMessage(damaged, mesh)
          decodeLanMessage(whole.subarray(0, at), mesh)
        }
      ),
      { seed: 31, numRuns: 2_000 }
    )
  })
})
