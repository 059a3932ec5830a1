/**
 * How a program that only speaks TLS is spoken to by its node, and what is wrong with the one that
 * answers, in words that name the mend. Whom the mesh lets in is settled by then; this is between a node and the
 * program behind it. What opens the connection is TlsConnect.ts.
 */
import { createHash, X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import { unixPathOf } from "./UnixHost.ts"

export interface ProgramTls {
  /** The CAs that are believed, as PEM. Absent: those that the runtime brings along. */
  readonly ca?: string | undefined
  /** The keys that are believed, see `pinOf`. Without `ca` they are all that counts. */
  readonly pins?: ReadonlyArray<string> | undefined
  /** Whoever answers is believed. */
  readonly insecure?: boolean | undefined
  /** Asked for, and looked for in the certificate. Default: the host of the address. */
  readonly serverName?: string | undefined
  /** What is offered to be spoken within (ALPN), best first; none: it is not talked about. */
  readonly alpn: ReadonlyArray<string>
}

/** They ask for the same and believe the same: what is open may stay open. */
export const sameTls = (a: ProgramTls | undefined, b: ProgramTls | undefined): boolean =>
  JSON.stringify(a) === JSON.stringify(b)

/** A socket has no name, and who listens there is on this host. */
const nameOfSocket = "localhost"

/** What the certificate has to be for: a name, or an IP address. */
export const expectedName = ({ serverName }: ProgramTls, host: string): string =>
  serverName ?? (unixPathOf(host) === undefined ? host : nameOfSocket)

/** `sha256/` and the SHA-256 of the key (SubjectPublicKeyInfo, RFC 7469 §2.4) in base64. */
export const pinOf = ({ publicKey }: X509Certificate): string => {
  const key = publicKey.export({ type: "spki", format: "der" })
  return `sha256/${createHash("sha256").update(key).digest("base64")}`
}

/** What a handshake has brought. */
export interface TlsAnswer {
  /** The runtime has checked chain, dates and name, and is content. */
  readonly authorized: boolean
  /** Its code for what it is not content with. */
  readonly problem: string | undefined
  /** The program's own certificate, DER; absent: it showed none. */
  readonly certificate: Uint8Array | undefined
  /** Wall clock, ms. */
  readonly now: number
}

/** Why the program is not to be spoken to; undefined: it may. */
export const tlsTrouble = (
  tls: ProgramTls,
  host: string,
  answer: TlsAnswer
): string | undefined => {
  if (tls.insecure === true) return undefined
  if (answer.certificate === undefined) return "it showed no certificate"
  const certificate = new X509Certificate(answer.certificate)
  if (tls.pins !== undefined) {
    const pin = pinOf(certificate)
    if (!tls.pins.includes(pin)) {
      return `its key is ${pin}, which tls.pin does not name; if the key was changed on purpose, write that`
    }
    if (tls.ca === undefined) return undefined
  }
  return answer.authorized
    ? undefined
    : troubleOf(answer, certificate, tls, expectedName(tls, host))
}

const troubleOf = (
  { now, problem = "" }: TlsAnswer,
  certificate: X509Certificate,
  { ca }: ProgramTls,
  name: string
): string => {
  const { issuer, subject, subjectAltName = "", validFrom, validTo } = certificate
  // Of an old certificate some runtimes only say that nobody vouches for it.
  if (Date.parse(validTo) < now) {
    return `its certificate has expired (${validTo}); it needs a new one`
  }
  if (Date.parse(validFrom) > now) {
    return `its certificate is valid from ${validFrom} on; is a clock wrong?`
  }
  switch (problem) {
    case "CERT_HAS_EXPIRED":
      return `a certificate above its own, ${inLine(issuer)}, has expired; it needs a new one, and tls.ca if that names it`
    case "ERR_TLS_CERT_ALTNAME_INVALID": {
      const names = subjectAltName === "" ? inLine(subject) : subjectAltName
      return `its certificate is for ${names} and not for ${name}; write one of its names to tls.serverName`
    }
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE": {
      const unknown = ca === undefined ? "no CA that is known here" : "no CA of tls.ca"
      return `${unknown} has signed its certificate, ${inLine(issuer)} has (${problem}); write the file of that CA to tls.ca, or, if it is the right program, tls.pin: ${pinOf(certificate)}`
    }
    default:
      return `its certificate is not good: ${problem === "" ? "no reason is known" : problem}`
  }
}

const inLine = (name: string): string => name.trim().replaceAll("\n", ", ")

/** What programs say that do not come to a handshake, as OpenSSL words it. */
const refusals: ReadonlyArray<readonly [pattern: RegExp, why: string]> = [
  [
    /wrong.version.number|packet.length.too.long|http.request/i,
    "it does not speak TLS; leave out tls, or let it"
  ],
  [/no.application.protocol/i, "it speaks nothing of what is offered (tls.alpn)"],
  [/certificate.required/i, "it wants a certificate of its clients, and a node has none for it"],
  [/unsupported.protocol|protocol.version/i, "it speaks neither TLS 1.2 nor TLS 1.3"],
  [
    /unrecognized.name/i,
    "it has no certificate for the name that is asked for; write one of its names to tls.serverName"
  ],
  [
    /handshake.failure|no.shared.cipher/i,
    "it and this node have no cipher in common, or it wants a certificate of its clients"
  ],
  [/before secure TLS connection/i, "it closed the connection within the handshake of TLS"]
]

/** What TLS said of a connection, in words; undefined: it was not TLS. */
export const handshakeTrouble = (error: Error): string | undefined => {
  const code = "code" in error && typeof error.code === "string" ? error.code : ""
  return refusals.find(([pattern]) => pattern.test(`${code} ${error.message}`))?.[1]
}

/** SNI has names alone (RFC 6066 §3). */
export const sniOf = (name: string): string | undefined => (isIP(name) === 0 ? name : undefined)
