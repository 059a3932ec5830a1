/**
 * A WebSocket over HTTP/2 (RFC 8441) as one over HTTP/1.1 (RFC 6455), which is what crosses the mesh: the
 * client's CONNECT is the program's GET with an upgrade, and its 200 the program's 101. The proof of that handshake
 * is between this node and the program, since HTTP/2 has none.
 */
import { createHash } from "node:crypto"
import { type Fields, fieldValue, type ResponseHead } from "../../model/Exchange.ts"
import type { Http2Request } from "../http2/RequestHeadFields.ts"

/** RFC 6455 §1.3 */
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/** Of HTTP/1.1 alone (RFC 8441 §5). */
const proofs = new Set(["sec-websocket-key", "sec-websocket-accept"])

/** `key`: 16 random bytes in base64. */
export const asHandshake = (request: Http2Request, key: string): Http2Request => ({
  ...request,
  head: {
    ...request.head,
    fields: [...withoutProofs(request.head.fields), "sec-websocket-key", key]
  }
})

export class ExtendedConnect {
  /** What came of the client's half before the program has switched. */
  readonly held: Array<Uint8Array> = []
  /** That half has ended. */
  ended = false
  /** The program has answered something else: what the client still sends is nobody's. */
  refused = false
  readonly #key: string

  constructor(key: string) {
    this.#key = key
  }

  /** Why the answer is none to the handshake; undefined: it is one. */
  objection({ fields, status, upgrade }: ResponseHead): string | undefined {
    if (status !== 101)
      return `answered a WebSocket's handshake with ${status} where that needs 101`
    if (upgrade?.toLowerCase() !== "websocket") {
      return `switched to ${upgrade ?? "nothing"} where websocket was asked for`
    }
    const proof = createHash("sha1").update(this.#key + guid)
    return fieldValue(fields, "sec-websocket-accept") === proof.digest("base64")
      ? undefined
      : "answered a WebSocket's handshake with a wrong Sec-WebSocket-Accept"
  }
}

export const withoutProofs = (fields: Fields): Fields => {
  const kept: Array<string> = []
  for (let i = 0; i < fields.length; i += 2) {
    if (!proofs.has(fields[i]!.toLowerCase())) kept.push(fields[i]!, fields[i + 1]!)
  }
  return kept
}
