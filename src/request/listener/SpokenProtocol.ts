/** What a client speaks, by the first bytes of its connection. */
import { readClientHello } from "./ClientHello.ts"

export type Spoken =
  /** Of either version: its own connection tells those apart. */
  | { readonly kind: "http" }
  /** `serverName`: for whom it asks. */
  | { readonly kind: "tls"; readonly serverName: string | undefined }
  | { readonly kind: "tcp" }

/** So much of a beginning is looked at; what cannot be told by then is bytes. A ClientHello has 2 KiB. */
export const mostLookedAt = 16 * 1024

/**
 * A method, and the beginning of a target in one of its four forms (RFC 9112 §3.2): other protocols of words
 * (SMTP, Redis, memcached) have none. `PRI *` of HTTP/2 is one as well.
 */
const request = /^(?:\r?\n){0,2}(?:[A-Z][A-Z-]{1,23} (?:\/|\*|[Hh][Tt][Tt][Pp])|CONNECT [!-~])/
const ofRequest = /^(?:\r?\n?){0,2}(?:[A-Z][A-Z-]{0,23}(?: (?:[Hh](?:[Tt][Tt]?)?)?)?)?$/
/** The longest that the second pattern takes, and one more. */
const longest = 34

const http: Spoken = { kind: "http" }
const tcp: Spoken = { kind: "tcp" }

/** Undefined: what has come so far may become one or another. */
export const spokenBy = (bytes: Buffer): Spoken | undefined => {
  const text = bytes.toString("latin1", 0, longest)
  if (request.test(text)) return http
  if (ofRequest.test(text)) return undefined
  const hello = readClientHello(bytes)
  switch (hello.kind) {
    case "hello":
      return { kind: "tls", serverName: hello.serverName }
    case "other":
      return tcp
    case "more":
      return bytes.length >= mostLookedAt ? { kind: "tls", serverName: undefined } : undefined
  }
}
