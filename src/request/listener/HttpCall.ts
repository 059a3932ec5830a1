/** From a request as a client sent it to the call it means, or to what answers it at once. */

import type { Caller } from "../../model/Caller.ts"
import {
  type Call,
  type Dispatch,
  type Fields,
  fieldValue,
  type RequestHead
} from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { authorityOf, meshDomain, type PeerKey, type ServiceName } from "../../model/Names.ts"
import type { CallFields } from "../http1/CallFields.ts"
import { forwardFields, timesThrough } from "../http1/Forwarded.ts"
import { maxForwards, withForwardsLeft } from "../http1/MaxForwards.ts"
import type { ParsedRequest } from "../http1/RequestReader.ts"
import type { Http2Request } from "../http2/RequestHeadFields.ts"
import { answerFinally, type OwnAnswer } from "./FinalRecipient.ts"
import { readGrpcWeb, type WebOrigins, webFaultAnswer } from "./GrpcWeb.ts"
import { asGrpc } from "./GrpcWebExchange.ts"
import type { PortAuthority } from "./PortAuthority.ts"

export interface HttpCallContext {
  readonly self: { readonly peer: PeerKey; readonly node: string }
  /** Who its clients speak for. */
  readonly identity: Caller
  /** The service an authority means. */
  readonly resolve: (authority: string) => ServiceName | undefined
  /** Every request is for this one, under the authorities below; CONNECT must name it. */
  readonly fixedService: ServiceName | undefined
  /** Of the fixed service's port. */
  readonly portAuthority: Pick<PortAuthority, "allows" | "refusal"> | undefined
  /** Calls of gRPC-Web are made ones of gRPC, of pages of these origins. Undefined: they are not. */
  readonly grpcWeb: WebOrigins | undefined
}

/** Whoever is to be answered. */
export interface AnsweredExchange {
  answer(answer: Fault | OwnAnswer): void
  start(call: Call, dispatch: Dispatch): void
}

/** Sends a request on its way, or answers it. */
export const startCall = (
  exchange: AnsweredExchange,
  request: Parameters<typeof makeHttpCall>[0],
  clientAddress: string | undefined,
  context: HttpCallContext & { readonly dispatch: Dispatch }
): void => {
  const { dispatch, grpcWeb, self } = context
  const web = grpcWeb === undefined ? undefined : readGrpcWeb(request.head, grpcWeb)
  if (web === undefined) {
    const call = makeHttpCall(request, clientAddress, context)
    if (isAnswer(call)) exchange.answer(call)
    else exchange.start(call, dispatch)
    return
  }
  if ("body" in web) {
    exchange.answer(web)
    return
  }
  if ("refused" in web) {
    const { node } = self
    const service = context.fixedService ?? context.resolve(request.head.authority)
    exchange.answer({ code: "denied", message: web.refused, node, service, sent: false })
    return
  }
  const call = makeHttpCall(request, clientAddress, context)
  if (!isAnswer(call)) exchange.start(call, asGrpc(dispatch, web, self.node))
  else exchange.answer("code" in call ? webFaultAnswer(call, web) : call)
}

/**
 * Applications that send a request back into the mesh for ever are stopped here. Those that call
 * each other and copy all headers look the same for as many calls deep as they are on one host.
 */
const maxTimesThrough = 16

/** `clientAddress`: without port; undefined when the client has gone already. */
export const makeHttpCall = (
  { call: said, head, version }: Pick<ParsedRequest | Http2Request, "call" | "head" | "version">,
  clientAddress: string | undefined,
  { fixedService, identity, portAuthority, resolve, self }: HttpCallContext
): Call | Fault | OwnAnswer => {
  const { method } = head
  const service = fixedService ?? resolve(head.authority)
  const refuse = (code: Fault["code"], message: string): Fault => ({
    code,
    message,
    node: self.node,
    service,
    sent: false
  })
  let fields: Fields = head.fields
  if (method === "TRACE" || method === "OPTIONS") {
    const left = maxForwards(fields)
    // Before anybody asks for whom it is: the answer is ours in any case.
    if (left === 0) return answerFinally(head)
    if (left !== undefined) {
      if (Number.isNaN(left)) {
        return refuse(
          "bad_request",
          `max-forwards ${JSON.stringify(fieldValue(fields, "max-forwards"))} is not one number of hops, and ${method} with it is not passed on uncounted`
        )
      }
      fields = withForwardsLeft(fields, left)
    }
  }
  if (service === undefined) {
    return refuse(
      "route_not_found",
      head.authority === ""
        ? `the request names no service: its Host is empty, where NAME.${meshDomain} is needed`
        : `${head.authority} is not a name of the mesh: this proxy reaches services as NAME.${meshDomain}, or under the node's dns.suffix, and nothing else (set NO_PROXY for other hosts)`
    )
  }
  // HTTP/1.0 may leave Host out, and a target without authority leaves it empty; an empty Host is
  // what most servers refuse, and X-Forwarded-Host and Forwarded would say nothing.
  const authority = head.authority === "" ? authorityOf(service) : head.authority
  if (method === "CONNECT") {
    // Deceptive routing, in the words of RFC 9110 §15.5.1: the client asks for another's tunnel.
    if (resolve(authority) !== service) {
      return refuse(
        "bad_request",
        `a tunnel to ${authority} was asked for, and this port reaches ${service} alone: CONNECT ${authorityOf(service)}:80, or use the proxy's port`
      )
    }
    return makeCall("tcp", service, undefined, self.peer, identity, said)
  }
  if (portAuthority?.allows(head.authority) === false) {
    return refuse("denied", portAuthority.refusal(head.authority))
  }
  if (timesThrough(fields, self.node) >= maxTimesThrough) {
    return refuse(
      "bad_request",
      `the request has been through node ${self.node} ${maxTimesThrough} times (see its Via): ${service} sends it back to the mesh in a loop`
    )
  }
  const hop = { clientAddress, proto: "http", version, authority, node: self.node } as const
  // Written out: a spread copies property by property, and this is every request.
  const forwarded: RequestHead = {
    method,
    target: head.target,
    authority,
    fields: forwardFields(fields, hop),
    framing: head.framing,
    upgrade: head.upgrade,
    expectsContinue: head.expectsContinue
  }
  return makeCall("http", service, forwarded, self.peer, identity, said)
}

const makeCall = (
  kind: Call["kind"],
  service: ServiceName,
  head: RequestHead | undefined,
  caller: PeerKey,
  identity: Caller,
  said: CallFields | undefined
): Call => ({
  kind,
  service,
  head,
  endpoint: undefined,
  caller,
  identity,
  deadline: said?.deadline,
  attempt: said?.attempt ?? 0,
  connectTimeout: undefined
})

/** It goes nowhere. */
const isAnswer = (made: Call | Fault | OwnAnswer): made is Fault | OwnAnswer => !("kind" in made)
