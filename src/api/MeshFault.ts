/**
 * Why the mesh ended a call, as an error of Effect programs. It is the cause of the
 * `HttpClientError` that a call fails with, whose message says the same in one line.
 */
import * as HttpClientError from "@effect/platform/HttpClientError"
import { Data } from "effect"
import { type Fault, type FaultCode, faultKinds } from "../model/Fault.ts"
import type { ServiceName } from "../model/Names.ts"

/** A call that the mesh itself ended. It is also a `Fault`, so `classifyFault` takes it. */
export class MeshFault extends Data.TaggedError("MeshFault")<{
  /** Stable: what to match on. */
  readonly code: FaultCode
  /** Code, node, detail and hint in one line. */
  readonly message: string
  /** What failed, with the value and the likely cause. */
  readonly detail: string
  /** What to look at next. */
  readonly hint: string
  /** Name of the node that decided it; empty: it was this program. */
  readonly node: string
  readonly service: ServiceName | undefined
  /** False: certainly no byte of the request has reached the service's program. */
  readonly sent: boolean
  /** Seconds after which another call may fare better; absent: nobody said. */
  readonly retryAfter?: number
}> {
  static readonly from = (fault: Fault): MeshFault => {
    const { code, message, node } = fault
    const { hint } = faultKinds[code]
    // What the program itself finds out is no node's.
    const who = node === "" ? code : `${code} from ${node}`
    return new MeshFault({
      ...fault,
      message: `${who}: ${message}. ${hint}`,
      detail: message,
      hint
    })
  }
}

/** Was it the mesh, and not the program behind it, that ended the call? For `Effect.catchIf`. */
export const isMeshError = (
  error: unknown
): error is HttpClientError.HttpClientError & { readonly cause: MeshFault } =>
  HttpClientError.isHttpClientError(error) && error.cause instanceof MeshFault
