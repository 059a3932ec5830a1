/** The head of a request from its fields (RFC 9113 §8.3.1), by the rules of http1/RequestHeadText.ts. */
import { noBody, type RequestHead, streamBody } from "../../model/Exchange.ts"
import { readAuthority } from "../http1/Authority.ts"
import type { CallFields } from "../http1/CallFields.ts"
import { isOriginTarget, isToken } from "../http1/Characters.ts"
import { excerpt, Http1Error } from "../http1/Http1Error.ts"
import type { Http1Limits } from "../http1/Limits.ts"
import type { PseudoFields, ReadFields } from "./HeadFields.ts"

/** As ParsedRequest of HTTP/1.1. */
export interface Http2Request {
  readonly head: RequestHead
  readonly version: 2
  /** What the client says of its call: taken out of the head. */
  readonly call: CallFields | undefined
  /**
   * It came as an extended CONNECT (RFC 8441), and its head is that of the upgrade it stands for: a GET,
   * still without what HTTP/1.1 needs of a handshake.
   */
  readonly extended: boolean
}

/** What an extended CONNECT may be for. */
const protocols = new Set(["websocket"])

/** `isEnd`: no body follows. Throws Http1Error. */
export const requestOf = (
  { block, pseudo }: ReadFields,
  isEnd: boolean,
  limits: Http1Limits
): Http2Request => {
  const method = methodOf(pseudo, limits)
  const authority = authorityOf(pseudo.authority, block.host)
  if (pseudo.protocol !== undefined) {
    return extendedConnect({ block, pseudo }, pseudo.protocol, authority, limits)
  }
  const target = method === "CONNECT" ? connectTarget(pseudo) : targetOf(pseudo, method, limits)
  if (block.length > 0 && isEnd) {
    throw new Http1Error("bad_content_length", "content-length says there is a body; there is none")
  }
  return {
    head: {
      method,
      target,
      authority: method === "CONNECT" ? target : authority,
      fields: block.endToEnd,
      framing: isEnd
        ? noBody
        : block.length === -1
          ? streamBody
          : { kind: "length", length: block.length },
      upgrade: undefined,
      expectsContinue: block.expectsContinue && !isEnd
    },
    version: 2,
    call: block.call,
    extended: false
  }
}

/** RFC 8441 §4: it has the pseudo-fields of any request, and what follows it is a tunnel's. */
const extendedConnect = (
  { block, pseudo }: ReadFields,
  protocol: string,
  authority: string,
  limits: Http1Limits
): Http2Request => {
  if (pseudo.method !== "CONNECT") {
    throw new Http1Error("bad_pseudo_field", ":protocol is of CONNECT alone")
  }
  const target = targetOf(pseudo, "GET", limits)
  if (pseudo.authority === undefined) throw missing(":authority")
  if (block.length !== -1) {
    throw new Http1Error("bad_content_length", "what follows CONNECT has no content-length")
  }
  if (!protocols.has(protocol)) {
    throw new Http1Error(
      "unsupported_protocol",
      `:protocol ${excerpt(protocol, 0)} is not carried; websocket is`
    )
  }
  return {
    head: {
      method: "GET",
      target,
      authority,
      fields: block.endToEnd,
      framing: noBody,
      upgrade: protocol,
      expectsContinue: false
    },
    version: 2,
    call: block.call,
    extended: true
  }
}

const methodOf = ({ method }: PseudoFields, { methodBytes }: Http1Limits): string => {
  if (method === undefined) throw missing(":method")
  if (method.length > methodBytes) {
    throw new Http1Error(
      "method_bytes",
      `method ${excerpt(method, 0)} is longer than ${methodBytes} characters`
    )
  }
  if (isToken(method)) return method
  throw new Http1Error("bad_method", `${excerpt(method, 0)} is not an HTTP method`)
}

/**
 * What the C library of gRPC (Python, C++, Ruby, PHP) says as authority where it connects to a unix socket: its path
 * as a segment of a URL, `run%2Fskein%2Fpayments.sock`. It names no host, and no page of a browser can say it: a slash
 * in a host is refused there, escaped or not (https://url.spec.whatwg.org/#host-parsing).
 */
const socketPath = /^(?=.*%2F)(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+$/i

/** Both may be there if they say the same; what they mean must not depend on who reads. */
const authorityOf = (said: string | undefined, host: string | undefined): string => {
  if (said === undefined || said === "" || socketPath.test(said)) {
    if (host === undefined || host === "") return ""
    return readHost(host)
  }
  const authority = readHost(said)
  if (host !== undefined && host !== said && readAuthority(host) !== authority) {
    throw new Http1Error(
      "bad_host",
      `host ${excerpt(host, 0)} and :authority ${excerpt(said, 0)} differ`
    )
  }
  return authority
}

const readHost = (text: string): string => {
  const authority = readAuthority(text)
  if (authority !== undefined) return authority
  throw new Http1Error("bad_host", `${excerpt(text, 0)} is not a host or host:port (1 to 65535)`)
}

const targetOf = (
  { path, scheme }: PseudoFields,
  method: string,
  { targetBytes }: Http1Limits
): string => {
  if (scheme === undefined) throw missing(":scheme")
  if (scheme !== "http") {
    throw new Http1Error(
      "unsupported_scheme",
      `scheme ${excerpt(scheme, 0)}: only http is carried, and this connection is not encrypted`
    )
  }
  if (path === undefined) throw missing(":path")
  if (path.length > targetBytes) {
    throw new Http1Error("target_bytes", `the target is longer than ${targetBytes} characters`)
  }
  if (isOriginTarget(path) || (path === "*" && method === "OPTIONS")) return path
  throw new Http1Error(
    "bad_target",
    `:path ${excerpt(path, 0)} does not begin with / or has a character it may not have`
  )
}

/** §8.5: the authority alone. */
const connectTarget = ({ authority, path, scheme }: PseudoFields): string => {
  if (path !== undefined || scheme !== undefined) {
    throw new Http1Error("bad_pseudo_field", "a CONNECT request has no :scheme and no :path")
  }
  const target = readAuthority(authority ?? "", true)
  if (target !== undefined) return target
  throw new Http1Error("bad_target", `CONNECT needs host:port, not ${excerpt(authority ?? "", 0)}`)
}

const missing = (name: string): Http1Error =>
  new Http1Error("bad_pseudo_field", `the request has no ${name}`)
