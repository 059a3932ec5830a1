/**
 * The messages of grpc.health.v1, and what an answer to `Check` means. Two fields of Protocol Buffers are
 * written and read by hand, for which a compiler of schemas would be much.
 */
import { grpcStatusName } from "../../model/GrpcStatus.ts"
import type { CheckResult } from "./HealthState.ts"

export const checkPath = "/grpc.health.v1.Health/Check"

/** `HealthCheckRequest` as one message of gRPC. `service`: `""` is the program as a whole. */
export const checkRequest = (service: string): Buffer => {
  const name = Buffer.from(service)
  const message =
    name.length === 0
      ? Buffer.alloc(0)
      : Buffer.concat([Buffer.of(0x0a), varint(name.length), name])
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

/** `ServingStatus`, by number. */
const servings = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]

/** An answer to `Check`, as far as it tells of health. */
export interface CheckAnswer {
  readonly httpStatus: number
  readonly contentType: string | undefined
  /** Undefined: it was not said. */
  readonly grpcStatus: number | undefined
  readonly grpcMessage: string | undefined
  readonly body: Buffer
}

/** Healthy is who says SERVING. `what` was asked, for people. */
export const healthOf = (answer: CheckAnswer, what: string, service: string): CheckResult => {
  const { body, contentType, grpcMessage = "", grpcStatus, httpStatus } = answer
  const failed = (why: string): CheckResult => ({ ok: false, reason: `${what}: ${why}` })
  if (httpStatus !== 200) return failed(`status ${httpStatus} of HTTP`)
  if (grpcStatus === undefined) {
    return failed(`its answer (${contentType ?? "of no type"}) has no grpc-status`)
  }
  if (grpcStatus === unimplemented) return failed("UNIMPLEMENTED, it serves no grpc.health.v1")
  if (grpcStatus === notFound && service !== "") {
    return failed(`NOT_FOUND, it knows of no service ${service}`)
  }
  if (grpcStatus !== 0) {
    return failed(`${grpcStatusName(grpcStatus)}${grpcMessage === "" ? "" : `, ${grpcMessage}`}`)
  }
  const serving = servingOf(body)
  if (serving === undefined) return failed("its answer is no HealthCheckResponse")
  const said = servings[serving] ?? `status ${serving}`
  return { ok: said === "SERVING", reason: `${what}: ${said}` }
}

const notFound = 5
const unimplemented = 12

/** Of one message of gRPC, uncompressed; undefined: it is none. What is not said is 0. */
const servingOf = (body: Buffer): number | undefined => {
  if (body.length < 5 || body[0] !== 0 || body.readUInt32BE(1) !== body.length - 5) return undefined
  let status = 0
  let at = 5
  while (at < body.length) {
    const tag = readVarint(body, at)
    if (tag === undefined) return undefined
    at = tag.end
    const value = readVarint(body, at)
    switch (tag.value & 7) {
      case 0:
        if (value === undefined) return undefined
        if (tag.value === 0x08) status = value.value
        at = value.end
        break
      case 1:
        at += 8
        break
      case 2:
        if (value === undefined) return undefined
        at = value.end + value.value
        break
      case 5:
        at += 4
        break
      default:
        return undefined
    }
  }
  return at === body.length ? status : undefined
}

const varint = (value: number): Buffer => {
  const bytes: Array<number> = []
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** Of at most five bytes, which is what tags, lengths and enums need. */
const readVarint = (
  bytes: Buffer,
  start: number
): { readonly value: number; readonly end: number } | undefined => {
  let value = 0
  for (let i = 0; i < 5; i++) {
    const byte = bytes[start + i]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return { value, end: start + i + 1 }
  }
  return undefined
}
