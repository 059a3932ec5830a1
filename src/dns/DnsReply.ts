/**
 * What is answered to a question about names of the mesh (RFC 1034, 1035; negative answers RFC 2308;
 * EDNS RFC 6891). Pure: who is asked for an address is told that one is needed, and makes it.
 */
import type { Answer, Packet, Question } from "@dnsquery/dns-packet"
import { askedFor, type ServiceBlocks } from "./MeshZone.ts"
import type { NameBook, NamedService } from "./NameBook.ts"

export interface ZoneOptions extends ServiceBlocks {
  /** In small letters, without dots at its ends. */
  readonly suffix: string
  /** Seconds for which answers hold. */
  readonly ttl: number
}

/** Codes that are used, by number (RFC 1035, 4.1.1). */
export const rcodes = {
  none: 0,
  malformed: 1,
  failed: 2,
  nobody: 3,
  notImplemented: 4,
  refused: 5,
  /** The upper bits of 16 are in the OPT record (RFC 6891, 6.1.3). */
  badVersion: 16
} as const

export interface Reply {
  readonly rcode: number
  /** The answer is our own to give. */
  readonly isOurs: boolean
  readonly answers?: ReadonlyArray<Answer>
  readonly authorities?: ReadonlyArray<Answer>
  readonly additionals?: ReadonlyArray<Answer>
}

export type Verdict =
  | { readonly kind: "reply"; readonly reply: Reply }
  /** Nothing of the mesh. */
  | { readonly kind: "foreign" }
  /** The service has to be listened for first. */
  | {
      readonly kind: "reach"
      readonly service: NamedService
      readonly family: 4 | 6
      readonly reply: (address: string) => Reply
      /** It could not be. A name of which one kind of address is missing still has the other. */
      readonly otherwise: Reply
    }

const isOurs = true
const reply = (rcode: number, more: Partial<Reply> = {}): Verdict => ({
  kind: "reply",
  reply: { rcode, isOurs: false, ...more }
})

const unreached: Reply = { rcode: rcodes.failed, isOurs }

/** Says for how long it is known that there is nothing (RFC 2308, 3). */
const soa = ({ suffix, ttl }: ZoneOptions): Answer => ({
  type: "SOA",
  name: suffix,
  ttl,
  data: {
    mname: `ns.${suffix}`,
    rname: `hostmaster.${suffix}`,
    ...{ serial: 1, refresh: 3_600, retry: 600, expire: 86_400, minimum: ttl }
  }
})

/** The version of EDNS that is asked for; undefined: none. */
export const ednsOf = ({ additionals = [] }: Packet) => {
  const opt = additionals.find(({ type }) => type === "OPT")
  return opt === undefined
    ? undefined
    : {
        version: "ednsVersion" in opt ? Number(opt.ednsVersion) : 0,
        size: "udpPayloadSize" in opt ? Number(opt.udpPayloadSize) : 0
      }
}

const serviceReply = (
  question: Question,
  service: NamedService,
  srv: string | undefined,
  options: ZoneOptions
): Verdict => {
  const { name: asked, type } = question
  const { suffix, ttl } = options
  const nothing = reply(rcodes.none, { isOurs, authorities: [soa(options)] })
  const { endpoints, healthy, name, port, protocol } = service
  const host = `${name}.${suffix}`
  if (type === "TXT" && srv === undefined) {
    const data = [
      `protocol=${protocol}`,
      ...(port === undefined ? [] : [`port=${port}`]),
      `healthy=${healthy}`,
      `endpoints=${endpoints}`
    ]
    return reply(rcodes.none, { isOurs, answers: [{ type, name: asked, ttl, data }] })
  }
  // A name that leads nowhere would be a connection that is refused, and nobody knew by whom.
  if (port === undefined) return nothing
  const a = (owner: string, data: string): Answer => ({ type: "A", name: owner, ttl, data })
  if (type === "SRV") {
    const data = { priority: 0, weight: 0, port, target: host }
    const answers: ReadonlyArray<Answer> = [{ type, name: asked, ttl, data }]
    return {
      ...{ kind: "reach", service, family: 4, otherwise: unreached },
      reply: (address) => ({
        ...{ rcode: rcodes.none, isOurs, answers },
        additionals: [a(host, address)]
      })
    }
  }
  if (type === "AAAA" && srv === undefined && options.ipv6 !== undefined) {
    return {
      ...{ kind: "reach", service, family: 6 },
      reply: (data) => ({
        ...{ rcode: rcodes.none, isOurs },
        answers: [{ type, name: asked, ttl, data }]
      }),
      otherwise: { rcode: rcodes.none, isOurs, authorities: [soa(options)] }
    }
  }
  // Of "any" one kind is enough (RFC 8482).
  if (srv !== undefined || (type !== "A" && type !== "ANY")) return nothing
  return {
    ...{ kind: "reach", service, family: 4, otherwise: unreached },
    reply: (address) => ({ rcode: rcodes.none, isOurs, answers: [a(asked, address)] })
  }
}

/** What a query comes to. Undefined: it is none, and not to be answered. */
export const judge = (
  packet: Packet,
  book: NameBook,
  options: ZoneOptions
): Verdict | undefined => {
  // Answers to answers go round for ever.
  if (packet.type !== "query") return undefined
  if (packet.opcode !== "QUERY") return reply(rcodes.notImplemented)
  const [question, ...others] = packet.questions ?? []
  if (question === undefined || others.length > 0) return reply(rcodes.malformed)
  if ((ednsOf(packet)?.version ?? 0) > 0) return reply(rcodes.badVersion)
  const asked = askedFor(question.name, options.suffix, options)
  if (asked.kind === "foreign") return { kind: "foreign" }
  if (question.class !== "IN" && question.class !== "ANY") return reply(rcodes.refused)
  // Zones are not given away whole.
  if (question.type === "AXFR" || question.type === "IXFR") return reply(rcodes.refused)
  const authorities = [soa(options)]
  const nothing = reply(rcodes.none, { isOurs, authorities })
  const nobody = reply(rcodes.nobody, { isOurs, authorities })
  switch (asked.kind) {
    case "nobody":
      return nobody
    case "zone":
      return question.type === "SOA"
        ? reply(rcodes.none, { isOurs, answers: [{ ...soa(options), name: question.name }] })
        : nothing
    case "reverse": {
      const service = book.nameAt(asked.address)
      if (service === undefined) return reply(rcodes.nobody, { isOurs })
      if (question.type !== "PTR") return reply(rcodes.none, { isOurs })
      const { ttl } = options
      const data = `${service}.${options.suffix}`
      const answers: ReadonlyArray<Answer> = [{ type: "PTR", name: question.name, ttl, data }]
      return reply(rcodes.none, { isOurs, answers })
    }
    case "service": {
      const service = book.find(asked.service)
      return service === undefined ? nobody : serviceReply(question, service, asked.srv, options)
    }
  }
}
