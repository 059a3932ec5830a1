import { decode, encode, type Packet, type Question, RECURSION_DESIRED } from "@dnsquery/dns-packet"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ServiceName } from "../model/Names.ts"
import { uniqueLocalOf } from "../model/UniqueLocal.ts"
import { decodeQuestion, encodeMalformed, encodeReply } from "./DnsMessage.ts"
import { judge, type ZoneOptions } from "./DnsReply.ts"
import type { NameBook, NamedService } from "./NameBook.ts"

const payments = ServiceName.make("payments")
const services = new Map<string, NamedService>([
  ["payments", { name: payments, protocol: "http", port: 80, endpoints: 3, healthy: 2 }],
  [
    "broken",
    { name: ServiceName.make("broken"), protocol: "http", port: 8_080, endpoints: 1, healthy: 0 }
  ],
  [
    "pipe",
    { name: ServiceName.make("pipe"), protocol: "tcp", port: undefined, endpoints: 1, healthy: 1 }
  ]
])
const book: NameBook = {
  find: (name) => services.get(name),
  nameAt: (address) => (address === "127.80.0.9" ? payments : undefined)
}
const zone: ZoneOptions = { suffix: "mesh", range: { base: 0x7f500000, size: 2 ** 20 }, ttl: 5 }
const address = "127.80.0.9"
const block = "fd5c:6e1a:0077::/64"
/** An address of IPv6 as it is asked for backwards. */
const backwards = (six: string): string => {
  const groups = six.split(":").map((group) => group.padStart(4, "0"))
  return `${[...groups.join("")].reverse().join(".")}.ip6.arpa`
}

const ask = (question: Question, more: Partial<Packet> = {}): Uint8Array =>
  encode({ type: "query", id: 7, flags: RECURSION_DESIRED, questions: [question], ...more })

const opt = {
  type: "OPT" as const,
  name: ".",
  udpPayloadSize: 4_096,
  flags: 0,
  options: [],
  data: []
}

/** As it goes over the wire both ways. */
const answered = (bytes: Uint8Array, over: "udp" | "tcp" = "udp") => {
  const query = decodeQuestion(bytes)
  if (query === undefined) return "nothing"
  if (query === "malformed") return decode(encodeMalformed(bytes))
  const verdict = judge(query, book, zone)
  if (verdict === undefined) return "nothing"
  if (verdict.kind === "foreign") return "foreign"
  const reply = verdict.kind === "reach" ? verdict.reply(address) : verdict.reply
  return decode(encodeReply(query, reply, { over, recurses: false }))
}

const short = (bytes: Uint8Array, over?: "udp" | "tcp") => {
  const packet = answered(bytes, over)
  if (typeof packet === "string") return packet
  const { answers = [], authorities = [], rcode } = packet
  return {
    rcode,
    answers: answers.map((one) => [one.name, one.type, "data" in one ? one.data : undefined]),
    ...(authorities.length === 0 ? {} : { authorities: authorities.map(({ type }) => type) })
  }
}

describe("a question about a name", () => {
  it.each([
    ["A", "payments.mesh", { rcode: "NOERROR", answers: [["payments.mesh", "A", address]] }],
    // Whoever mixes cases to be surer of the answer wants it as it was asked.
    ["A", "PayMents.MESH", { rcode: "NOERROR", answers: [["PayMents.MESH", "A", address]] }],
    ["ANY", "payments.mesh", { rcode: "NOERROR", answers: [["payments.mesh", "A", address]] }],
    ["AAAA", "payments.mesh", { rcode: "NOERROR", answers: [], authorities: ["SOA"] }],
    ["MX", "payments.mesh", { rcode: "NOERROR", answers: [], authorities: ["SOA"] }],
    // Known, and nothing of it is well: the call itself will say so, and why.
    ["A", "broken.mesh", { rcode: "NOERROR", answers: [["broken.mesh", "A", address]] }],
    ["A", "pipe.mesh", { rcode: "NOERROR", answers: [], authorities: ["SOA"] }],
    ["A", "nobody.mesh", { rcode: "NXDOMAIN", answers: [], authorities: ["SOA"] }],
    ["A", "a.payments.mesh", { rcode: "NXDOMAIN", answers: [], authorities: ["SOA"] }],
    ["A", "_x.mesh", { rcode: "NXDOMAIN", answers: [], authorities: ["SOA"] }],
    ["A", "mesh", { rcode: "NOERROR", answers: [], authorities: ["SOA"] }],
    ["A", "_tcp.payments.mesh", { rcode: "NOERROR", answers: [], authorities: ["SOA"] }],
    ["A", "payments.mesh.example", "foreign"],
    ["A", "hmesh", "foreign"],
    [
      "PTR",
      "9.0.80.127.in-addr.arpa",
      { rcode: "NOERROR", answers: [["9.0.80.127.in-addr.arpa", "PTR", "payments.mesh"]] }
    ],
    ["PTR", "8.0.80.127.in-addr.arpa", { rcode: "NXDOMAIN", answers: [] }],
    ["A", "9.0.80.127.in-addr.arpa", { rcode: "NOERROR", answers: [] }],
    ["PTR", "1.0.0.127.in-addr.arpa", "foreign"],
    ["AXFR", "mesh", { rcode: "REFUSED", answers: [] }]
  ] as const)("%s %s", (type, name, expected) => {
    expect(short(ask({ type, name }))).toEqual(expected)
  })

  it("PTR of an address of IPv6 is the service whose it is, of the block alone", () => {
    const six = uniqueLocalOf(block, payments)
    const known: NameBook = { ...book, nameAt: (at) => (at === six ? payments : undefined) }
    const ask6 = (name: string, type: "PTR" | "AAAA" = "PTR", ipv6: string | undefined = block) => {
      const query = decodeQuestion(ask({ type, name }))
      if (query === undefined || query === "malformed") throw new Error("it is a question")
      const verdict = judge(query, known, { ...zone, ipv6 })
      if (verdict?.kind !== "reply") return verdict?.kind
      const { answers = [], rcode } = verdict.reply
      return { rcode, names: answers.map((one) => ("data" in one ? one.data : undefined)) }
    }
    const found = { rcode: 0, names: ["payments.mesh"] }
    expect(ask6(backwards(six))).toEqual(found)
    expect(ask6(`${backwards(six).toUpperCase()}.`)).toEqual(found)
    expect(ask6(backwards(six), "AAAA")).toEqual({ rcode: 0, names: [] })
    expect(ask6(backwards("fd5c:6e1a:77:0:1:2:3:4"))).toEqual({ rcode: 3, names: [] })
    // Another block, part of an address, more than one.
    expect(ask6(backwards("fd5c:6e1a:78:0:1:2:3:4"))).toBe("foreign")
    expect(ask6(backwards(six).slice(2))).toBe("foreign")
    expect(ask6(`1.${backwards(six)}`)).toBe("foreign")
    expect(ask6(backwards(six).replace(/^./, "g"))).toBe("foreign")
    const query = decodeQuestion(ask({ type: "PTR", name: backwards(six) }))
    if (query === undefined || query === "malformed") throw new Error("it is a question")
    expect(judge(query, known, zone)).toEqual({ kind: "foreign" })
  })

  it("SRV and TXT say the port, the protocol and how many are well", () => {
    const srv = answered(ask({ type: "SRV", name: "_http._tcp.payments.mesh" }))
    expect(srv).toMatchObject({
      answers: [{ name: "_http._tcp.payments.mesh", data: { port: 80, target: "payments.mesh" } }],
      additionals: [{ name: "payments.mesh", type: "A", data: address, ttl: 5 }]
    })
    const txt = answered(ask({ type: "TXT", name: "payments.mesh" }))
    const data = typeof txt === "string" ? [] : (txt.answers ?? [])
    const texts = data.flatMap((one) => (one.type === "TXT" ? one.data : []))
    expect(texts.map((text) => Buffer.from(text).toString())).toEqual([
      "protocol=http",
      "port=80",
      "healthy=2",
      "endpoints=3"
    ])
    expect(short(ask({ type: "TXT", name: "pipe.mesh" }))).toMatchObject({ rcode: "NOERROR" })
  })

  it("is answered with what was asked, as an authority, and with the size that is spoken", () => {
    expect(
      answered(ask({ type: "A", name: "payments.mesh" }, { additionals: [opt] }))
    ).toMatchObject({
      ...{ id: 7, flag_qr: true, flag_aa: true, flag_rd: true, flag_ra: false },
      questions: [{ type: "A", name: "payments.mesh", class: "IN" }],
      additionals: [{ type: "OPT", udpPayloadSize: 1_232, ednsVersion: 0 }]
    })
    expect(answered(ask({ type: "A", name: "payments.mesh" }))).toMatchObject({ additionals: [] })
    const later = ask(
      { type: "A", name: "payments.mesh" },
      { additionals: [{ ...opt, ednsVersion: 1 } as never] }
    )
    expect(answered(later)).toMatchObject({
      rcode: "NOERROR",
      answers: [],
      additionals: [{ extendedRcode: 1 }]
    })
  })

  it("that is no question is refused, and what is an answer is not answered", () => {
    const question = { type: "A" as const, name: "payments.mesh" }
    expect(short(ask(question, { questions: [] }))).toEqual({ rcode: "FORMERR", answers: [] })
    expect(short(ask(question, { questions: [question, question] }))).toEqual({
      ...{ rcode: "FORMERR", answers: [] }
    })
    expect(short(ask({ ...question, class: "CH" }))).toEqual({ rcode: "REFUSED", answers: [] })
    const notify = ask(question)
    notify[2] = 4 << 3
    expect(short(notify)).toEqual({ rcode: "NOTIMP", answers: [] })
    // Of the kind that was asked, or nobody takes it for the answer.
    expect(answered(notify)).toMatchObject({ opcode: "NOTIFY", flag_rd: false })
    expect(answered(notify.subarray(0, 20))).toMatchObject({ opcode: "NOTIFY", rcode: "FORMERR" })
    const answer = ask(question)
    answer[2] = 0x80
    expect(answered(answer)).toBe("nothing")
    expect(answered(new Uint8Array(11))).toBe("nothing")
    expect(answered(new Uint8Array(4_097))).toBe("nothing")
    expect(short(ask(question).subarray(0, 20))).toEqual({ rcode: "FORMERR", answers: [] })
  })

  it("of a name that is long enough is answered short over UDP, and whole over TCP", () => {
    const name = `_${"x".repeat(61)}._tcp.payments.mesh`
    const long = ServiceName.make("a".repeat(63))
    services.set(long, { name: long, protocol: "http", port: 1, endpoints: 1, healthy: 1 })
    expect(short(ask({ type: "SRV", name }))).toMatchObject({ answers: [[name, "SRV", {}]] })
    const query = decodeQuestion(ask({ type: "TXT", name: "payments.mesh" }))
    if (query === undefined || query === "malformed") throw new Error("it is a question")
    const data = Array.from({ length: 5 }, () => "x".repeat(200))
    const big = {
      ...{ rcode: 0, isOurs: true },
      answers: [{ type: "TXT" as const, name: "payments.mesh", ttl: 5, data }]
    }
    const cut = decode(encodeReply(query, big, { over: "udp", recurses: true }))
    expect(cut).toMatchObject({ flag_tc: true, flag_ra: true, answers: [], rcode: "NOERROR" })
    const whole = decode(encodeReply(query, big, { over: "tcp", recurses: true }))
    expect(whole).toMatchObject({ flag_tc: false, answers: [{ type: "TXT" }] })
  })

  it("whatever comes is answered shortly, or not at all", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.tuple(fc.domain(), fc.nat(), fc.integer({ min: 0, max: 255 })).map(([name, at, byte]) => {
        const query = ask({ type: "A", name: `${name.slice(0, 40)}.mesh` }, { additionals: [opt] })
        query[at % query.length] = byte
        return query
      })
    )
    fc.assert(
      fc.property(bytes, (query) => {
        const packet = answered(query)
        if (typeof packet === "string") return
        expect(encode(packet).length).toBeLessThanOrEqual(Math.max(512, query.length + 200))
      }),
      { numRuns: 2_000 }
    )
  })
})

describe("a question for an address of IPv6", () => {
  const six = (name: string) => {
    const query = decodeQuestion(ask({ type: "AAAA", name }))
    if (query === undefined || query === "malformed") throw new Error("no question")
    return judge(query, book, { ...zone, ipv6: block })
  }

  it("is answered where services have one, and with no data where it cannot be listened at", () => {
    const verdict = six("payments.mesh")
    if (verdict?.kind !== "reach") throw new Error("nobody is to be reached")
    expect(verdict.family).toBe(6)
    const data = "fd5c:6e1a:0:0:1:2:3:4"
    expect(verdict.reply(data)).toMatchObject({ rcode: 0, answers: [{ type: "AAAA", data }] })
    expect(verdict.otherwise).toMatchObject({ rcode: 0, authorities: [{ type: "SOA" }] })
    expect(verdict.otherwise.answers).toBeUndefined()
    const query = decodeQuestion(ask({ type: "AAAA", name: "payments.mesh" }))
    if (query === undefined || query === "malformed") throw new Error("no question")
    const sent = decode(encodeReply(query, verdict.reply(data), { over: "udp", recurses: false }))
    expect(sent.answers).toMatchObject([{ type: "AAAA", data: "fd5c:6e1a::1:2:3:4" }])
  })

  it("is no data where the service has no port, and nobody where there is none", () => {
    expect(six("pipe.mesh")).toMatchObject({ kind: "reply", reply: { rcode: 0 } })
    expect(six("nobody.mesh")).toMatchObject({ kind: "reply", reply: { rcode: 3 } })
  })
})
