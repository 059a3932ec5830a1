import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import { PeerKey } from "../../model/Names.ts"
import {
  AcceptorPreface,
  type AnswerOptions,
  answerClaim,
  carriesIdentity,
  DiallerPreface,
  encodeRefusal,
  type LinkClaim,
  linkRefusals,
  oldestPreface,
  PrefaceError,
  type PrefaceOptions,
  prefaceFirstByte,
  prefaceLength,
  prefaceVersion
} from "./LinkPreface.ts"

const dialler = PeerKey.make("12D3KooWA1iceA1iceA1iceA1iceA1iceA1iceA1iceA1iceA1ic")
const acceptor = PeerKey.make("12D3KooWBobBobBobBobBobBobBobBobBobBobBobBobBobBobBo")
const secret = Buffer.alloc(32, 7)
const session = "00112233445566778899aabbccddeeff"

const dial = (options: Partial<PrefaceOptions> = {}) =>
  new DiallerPreface({
    session,
    secret,
    dialler,
    acceptor,
    thread: undefined,
    tries: 0,
    ...options
  })

const claimOf = (bytes: Uint8Array): LinkClaim => {
  const claim = new AcceptorPreface().push(bytes)
  if (claim === undefined || typeof claim === "string") throw new Error(`no claim but ${claim}`)
  return claim
}

const answer = (bytes: Uint8Array, options: Partial<AnswerOptions> = {}) =>
  answerClaim(claimOf(bytes), {
    secret,
    dialler,
    acceptor,
    thread: 1,
    threads: 4,
    isFresh: () => true,
    ...options
  })

const accepted = (bytes: Uint8Array, options: Partial<AnswerOptions> = {}) => {
  const it = answer(bytes, options)
  if (!it.accepted) throw new Error(it.code)
  return it
}

/** Pieces of so many bytes each, round and round. */
const pieces = (bytes: Buffer, cuts: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const cut: Array<Buffer> = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = cuts[i % cuts.length]!
    cut.push(bytes.subarray(at, at + length))
    at += length
  }
  return cut
}

const cuts = fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 10 })

/** What comes of bytes, in short. */
const readBy = (preface: AcceptorPreface, parts: ReadonlyArray<Buffer>) => {
  for (const part of parts) {
    const result = preface.push(part)
    if (typeof result === "string") return result
    if (result !== undefined) return `${result.session} ${result.thread} ${result.tries}`
  }
  return "more"
}

const answeredBy = (preface: DiallerPreface, parts: ReadonlyArray<Buffer>) => {
  try {
    for (const part of parts) {
      const result = preface.push(part)
      if (result?.linked === true) return `${result.thread} of ${result.threads}`
      if (result !== undefined) return `${result.code} ${result.wait} ${result.version}`
    }
    return "more"
  } catch (error) {
    if (error instanceof PrefaceError) return error.message
    throw error
  }
}

describe("a preface", () => {
  it("leads to the same keys on both sides, and tells which thread answers", () => {
    const sut = dial({ thread: 3, tries: 2 })
    expect(sut.bytes).toHaveLength(prefaceLength)
    expect(claimOf(sut.bytes)).toMatchObject({ session, thread: 3, tries: 2 })
    const { bytes, keys } = accepted(sut.bytes)
    const result = sut.push(Buffer.concat([bytes, Buffer.from("rest")]))
    expect(result).toMatchObject({ linked: true, thread: 1, threads: 4, rest: Buffer.from("rest") })
    if (result?.linked !== true) throw new Error("no link")
    expect(result.keys.send).toEqual(keys.receive)
    expect(result.keys.receive).toEqual(keys.send)
    expect(keys.send).not.toEqual(keys.receive)
  })

  it("may be for any thread", () => {
    expect(claimOf(dial().bytes).thread).toBeUndefined()
  })

  it("begins with a byte that neither libp2p nor TLS nor HTTP begins with", () => {
    expect(dial().bytes[0]).toBe(prefaceFirstByte)
    expect([0x13, 0x16]).not.toContain(prefaceFirstByte)
    expect(prefaceFirstByte).toBeGreaterThan(0x7f)
  })

  it("is read the same however it is cut", () => {
    const noise = fc.uint8Array({ maxLength: 120 })
    fc.assert(
      fc.property(fc.boolean(), noise, cuts, fc.nat(prefaceLength), (whole, junk, by, at) => {
        const real = dial({ thread: 5, tries: 1 }).bytes
        const bytes = whole
          ? Buffer.concat([real, junk])
          : Buffer.concat([real.subarray(0, at), junk])
        const once = readBy(new AcceptorPreface(), [bytes])
        expect(readBy(new AcceptorPreface(), pieces(bytes, by))).toBe(once)
        if (whole) expect(once).toBe(`${session} 5 1`)
      }),
      { numRuns: 200 }
    )
  })

  it("hands on what came behind it", () => {
    const bytes = Buffer.concat([dial().bytes, Buffer.from("behind")])
    expect(claimOf(bytes).rest.toString()).toBe("behind")
  })

  it("is refused at its first wrong byte when it is none", () => {
    for (const bytes of ["\x13/multistream/1.0.0\n", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01"]) {
      expect(new AcceptorPreface().push(Buffer.from(bytes, "latin1"))).toBe("malformed")
    }
    const almost = Buffer.of(prefaceFirstByte, 0x53, 0x4b, 0x4d)
    expect(readBy(new AcceptorPreface(), pieces(almost, [1]))).toBe("malformed")
  })

  it("of another version is refused before all of it is there", () => {
    for (const version of [oldestPreface - 1, prefaceVersion + 1, 255]) {
      const bytes = dial().bytes.subarray(0, 5)
      bytes[4] = version
      expect(readBy(new AcceptorPreface(), pieces(bytes, [1]))).toBe("version")
    }
  })

  it("of an older version is answered in it, and both ends know what the link carries", () => {
    for (const version of [oldestPreface, prefaceVersion]) {
      const sut = dial({ version })
      expect(claimOf(sut.bytes).version).toBe(version)
      expect(sut.push(accepted(sut.bytes).bytes)).toMatchObject({ linked: true, version })
    }
    expect([1, 2].map(carriesIdentity)).toEqual([false, true])
  })

  it("is not genuine when somebody made it an older one on its way", () => {
    const { bytes } = dial()
    bytes[4] = oldestPreface
    expect(answer(bytes)).toEqual({ accepted: false, code: "not_genuine" })
  })

  it("is not genuine when any bit of it was changed, whatever it says", () => {
    const { bytes } = dial({ thread: 0, tries: 0 })
    for (let bit = 5 * 8; bit < bytes.length * 8; bit++) {
      const altered = Buffer.from(bytes)
      altered[bit >> 3]! ^= 1 << (bit & 7)
      expect({ bit, ...answer(altered) }).toEqual({ bit, accepted: false, code: "not_genuine" })
    }
    expect(answer(bytes).accepted).toBe(true)
  })

  it("is not genuine with another secret, from another node, or for another", () => {
    const { bytes } = dial()
    const third = PeerKey.make("12D3KooWCaroCaroCaroCaroCaroCaroCaroCaroCaroCaroCaro")
    const wrong: ReadonlyArray<Partial<AnswerOptions>> = [
      { secret: randomBytes(32) },
      { dialler: third },
      { acceptor: third }
    ]
    for (const options of wrong) {
      expect(answer(bytes, options)).toEqual({ accepted: false, code: "not_genuine" })
    }
  })

  it("that is led back to the node that made it comes to nothing", () => {
    // It has the session too, and takes calls from its peer by it.
    const own = { dialler: acceptor, acceptor: dialler }
    expect(answer(dial().bytes, own)).toEqual({ accepted: false, code: "not_genuine" })
  })

  it("is refused when its ephemeral key was seen before", () => {
    const seen = new Set<string>()
    const isFresh = (key: Buffer): boolean => {
      const text = key.toString("hex")
      return !seen.has(text) && seen.add(text).size > 0
    }
    const { bytes } = dial()
    expect(answer(bytes, { isFresh }).accepted).toBe(true)
    expect(answer(bytes, { isFresh })).toEqual({ accepted: false, code: "replayed" })
    expect(answer(dial().bytes, { isFresh }).accepted).toBe(true)
  })

  it("that is not genuine does not count as seen", () => {
    let asked = 0
    const isFresh = (): boolean => {
      asked++
      return true
    }
    answer(dial({ secret: randomBytes(32) }).bytes, { isFresh })
    expect(asked).toBe(0)
  })
})

describe("an answer", () => {
  it("is read the same however it is cut, refusals and nonsense as well", () => {
    const code = fc.constantFrom(...linkRefusals)
    const junk = fc.uint8Array({ maxLength: 70 })
    const kind = fc.constantFrom("accepted", "refused", "junk" as const)
    fc.assert(
      fc.property(kind, code, fc.nat(70_000), junk, cuts, (kind, code, wait, junk, by) => {
        const make = () => {
          const sut = dial()
          if (kind === "accepted") return { sut, bytes: accepted(sut.bytes).bytes }
          return { sut, bytes: kind === "junk" ? Buffer.from(junk) : encodeRefusal(code, wait) }
        }
        const whole = make()
        const once = answeredBy(whole.sut, [whole.bytes])
        const cut = make()
        expect(answeredBy(cut.sut, pieces(cut.bytes, by))).toBe(once)
        if (kind === "accepted") expect(once).toBe("1 of 4")
        if (kind === "refused") expect(once).toBe(`${code} ${wait} ${prefaceVersion}`)
      }),
      { numRuns: 100 }
    )
  })

  it("leads to no link when any bit of it was changed", () => {
    const { length } = accepted(dial().bytes).bytes
    for (let bit = 0; bit < length * 8; bit++) {
      const sut = dial()
      const altered = accepted(sut.bytes).bytes
      altered[bit >> 3]! ^= 1 << (bit & 7)
      expect(answeredBy(sut, [altered]), `${bit}`).not.toMatch(/ of /)
    }
  })

  it("of who does not know the secret, or is another node, is refused", () => {
    // They answer as well as they can: to a preface of their own making.
    const other = randomBytes(32)
    const { bytes } = accepted(dial({ secret: other }).bytes, { secret: other })
    expect(() => dial().push(bytes)).toThrow(/does not know the session's secret/)
    // And by what another handshake of the same session was answered.
    expect(() => dial().push(accepted(dial().bytes).bytes)).toThrow(PrefaceError)
  })

  it("that is none says so at its first wrong byte", () => {
    for (const text of ["HTTP/1.1 400 Bad Request\r\n", "\x13/multistream/1.0.0\n", "SSH-2.0"]) {
      expect(() => dial().push(Buffer.from(text, "latin1"))).toThrow(/not a node/)
    }
  })

  it("in another version is refused, unless it is a refusal", () => {
    const refusal = encodeRefusal("version")
    refusal[4] = 3
    expect(dial().push(refusal)).toEqual({ linked: false, code: "version", wait: 0, version: 3 })
    for (const version of [1, 3]) {
      const sut = dial()
      const { bytes } = accepted(sut.bytes)
      bytes[4] = version
      expect(() => sut.push(bytes)).toThrow(new RegExp(`version ${version}`))
    }
  })

  it("with a later version's reason says when to come back", () => {
    const refusal = encodeRefusal("session_ended", 250)
    refusal[5] = 99
    expect(dial().push(refusal)).toMatchObject({ linked: false, code: "busy", wait: 250 })
  })
})
