/**
 * The one contract of the request plane. A listener, the outbound stack, a link, the inbound
 * stack and an endpoint all speak it, so each can be put behind the other and tested alone.
 *
 *     caller ──dispatch(call, receiver)──► callee
 *            ◄── RequestStream ──────────          request bytes go in here
 *            ◄── receiver.onHead/onData/onEnd ──   response bytes come out here
 *
 * Rules, which every implementation keeps and may rely on:
 * 1. A callee never calls the receiver before `dispatch` has returned (a fault known at once is
 *    delivered in a microtask).
 * 2. The receiver sees: onInfo* (onHead (onData* onEnd)?)? or, at any point, onFault. After onEnd
 *    (but see 7) or onFault it is never called again, and the callee holds no reference to it.
 * 3. The caller calls: write* end, or, at any point, cancel. After cancel the receiver is never
 *    called again. Calls after the exchange is over are ignored.
 * 4. Response end does not wait for request end: after onEnd the rest of the request is discarded
 *    by the callee (the caller should stop sending). But see 7.
 * 5. Back-pressure: `write`/`onData` return false for "enough for now"; the chunk WAS taken. The
 *    other side then calls `onWritable`/`resume` once when it wants more. Sending more than one
 *    further chunk after false is a bug.
 * 6. A chunk handed over belongs to the taker until the call returns AND may be retained by it:
 *    the giver never reuses its memory. Who keeps a chunk and also passes it on says so (`keep` in
 *    Loan.ts): large chunks are freed by hand once their last taker is done with them.
 * 7. A tunnel (kind `tcp`, or after a 101) has two halves that end on their own, in either order.
 *    When onEnd comes before the caller's `end`, the caller may go on writing, and the receiver may
 *    still see onWritable or onFault until it ends or cancels. The exchange is over when both
 *    halves have ended.
 * 8. A fault, or a `cancel` of a tunnel, comes after what was said before it: bytes that were taken
 *    are not lost to a break that follows them.
 */
import type { Caller } from "./Caller.ts"
import type { Fault } from "./Fault.ts"
import type { PeerKey, ServiceName } from "./Names.ts"

/** Header (or trailer) fields in order, flat: name, value, name, value. Names keep their case. */
export type Fields = ReadonlyArray<string>

/** How a message's body is delimited on HTTP/1.1 (RFC 9112 §6). */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  /** chunked on the wire, or an HTTP/1.0-style response that ends with the connection. */
  | { readonly kind: "stream" }

export interface RequestHead {
  readonly method: string
  /** Origin-form (`/path?query`) or `*`. */
  readonly target: string
  /** Value of Host, or of the authority in absolute-form. */
  readonly authority: string
  /**
   * End-to-end fields only: hop-by-hop ones, those named by Connection, Host, Content-Length and
   * Transfer-Encoding are not here (they are `authority` and `framing`).
   */
  readonly fields: Fields
  readonly framing: Framing
  /** Protocol asked for with `Connection: Upgrade`, e.g. `websocket`; otherwise undefined. */
  readonly upgrade: string | undefined
  /** `Expect: 100-continue` was present. */
  readonly expectsContinue: boolean
}

export interface ResponseHead {
  readonly status: number
  readonly reason: string
  /** As in RequestHead: end-to-end fields only. */
  readonly fields: Fields
  /**
   * For a response to HEAD and for 304 the framing is what a GET would have had, and no body
   * follows (`onEnd` comes at once). For 101 it is `stream`: a tunnel follows.
   */
  readonly framing: Framing
  /**
   * For 101: the protocol switched to. For a final response: protocols it offers to switch to, or
   * demands (426), written on each hop with `Connection: upgrade`.
   */
  readonly upgrade: string | undefined
}

/** What is to be carried. */
export interface Call {
  /**
   * `tcp` is a byte tunnel: the request has no head, `onHead` comes with `accepted` as soon as the
   * endpoint's program has accepted the connection, and onData/onEnd carry the bytes.
   */
  readonly kind: "http" | "tcp"
  readonly service: ServiceName
  /** Present exactly when kind is `http`. */
  readonly head: RequestHead | undefined
  /**
   * The endpoint chosen by the caller's balancer. Undefined before the balancer; the inbound side
   * picks one itself when it is undefined.
   */
  readonly endpoint: string | undefined
  /**
   * Key of the one endpoint that the caller's balancer may choose, for callers that know where what they
   * ask for is. It is asked whatever its owner says of it, and nobody is in its place. Absent: any.
   */
  readonly only?: string | undefined
  /**
   * Of such a call: it goes out though the endpoint's circuit is open, and says nothing to the circuit then. For the few
   * questions that others wait for and that cost the endpoint nothing. Absent: no.
   */
  readonly pastCircuit?: boolean | undefined
  /** The node the call came from: authenticated by the link; own peer for local callers. */
  readonly caller: PeerKey
  /**
   * Who it speaks for. Over a link it is what the caller's node says, until `Inbound` has looked whether
   * that node may; whoever comes after can rely on it.
   */
  readonly identity: Caller
  /** Milliseconds left of the total timeout when this was sent; undefined: none. */
  readonly deadline: number | undefined
  /** 0 for the first attempt. */
  readonly attempt: number
  /**
   * Milliseconds left to get through to the endpoint's program: to wait for a link to its node
   * while one is being made, and there for a connection to the program. Undefined: whoever waits
   * has a limit of its own.
   */
  readonly connectTimeout?: number | undefined
}

/** The caller's half: the callee pushes the response into it. */
export interface ResponseReceiver {
  /** A 1xx other than 101. */
  onInfo(head: ResponseHead): void
  onHead(head: ResponseHead): void
  /** False: stop until the caller says `resume`. */
  onData(chunk: Uint8Array): boolean
  onEnd(trailers: Fields): void
  onFault(fault: Fault): void
  /** The request stream takes more again, after `write` returned false. */
  onWritable(): void
  /**
   * There is no link to the endpoint's node yet, for as long as a call waits for one (`connectTimeout`), and
   * one is still being made. Nothing was sent. False: nobody waits any longer, and the fault is to follow.
   * True: the call waits on, and this is asked again; or it went elsewhere, and has cancelled this stream.
   * Absent: nobody waits longer.
   */
  onLate?(fault: Fault): boolean
  /** The call has waited for a link (RequestStream.unlinked), and begins there now. */
  onLinked?(): void
}

/** The callee's half: the caller pushes the request body into it. */
export interface RequestStream {
  /** False: stop until `onWritable`. */
  write(chunk: Uint8Array): boolean
  end(trailers: Fields): void
  /** Give up: frees everything, here and further upstream. */
  cancel(fault: Fault): void
  /** The receiver takes more again, after `onData` returned false. */
  resume(): void
  /** It waits for a link: nothing of it has left this node. Absent: no. */
  readonly unlinked?: boolean
}

export type Dispatch = (call: Call, receiver: ResponseReceiver) => RequestStream

export const noFields: Fields = []
export const noBody: Framing = { kind: "none" }
export const streamBody: Framing = { kind: "stream" }

/** Its caller has more to send after the head before it is whole. */
export const hasBody = ({ framing }: RequestHead): boolean =>
  framing.kind === "stream" || (framing.kind === "length" && framing.length > 0)

/** The head of a `tcp` call's response, and what answers a CONNECT (RFC 9110 §9.3.6). */
export const accepted: ResponseHead = {
  status: 200,
  reason: "Connection Established",
  fields: noFields,
  framing: streamBody,
  upgrade: undefined
}

/** The first value of a field, by case-insensitive name. `name` must be lower-case. */
export const fieldValue = (fields: Fields, name: string): string | undefined => {
  for (let i = 0; i < fields.length; i += 2) {
    const candidate = fields[i]!
    if (candidate.length === name.length && candidate.toLowerCase() === name) return fields[i + 1]
  }
  return undefined
}
