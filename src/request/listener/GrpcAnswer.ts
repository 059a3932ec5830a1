/** A fault as gRPC says it: in fields, with status 200 of HTTP (the protocol's "Trailers-Only"). */
import { type Fields, fieldValue, type RequestHead } from "../../model/Exchange.ts"
import { type Fault, faultKinds } from "../../model/Fault.ts"

/** Is it a call of gRPC? What browsers send (`application/grpc-web`) is another protocol. */
export const isGrpcCall = ({ fields, method }: RequestHead): boolean => {
  if (method !== "POST") return false
  const type = fieldValue(fields, "content-type")
  return type !== undefined && /^application\/grpc(?:$|[+; \t])/i.test(type)
}

/** What ends the call: status, message, and who says so. */
export const grpcTrailers = (fault: Fault): Fields => [
  "grpc-status",
  String(faultKinds[fault.code].grpc),
  "grpc-message",
  grpcMessage(fault.message),
  "skein-error",
  fault.code,
  "skein-node",
  grpcMessage(fault.node)
]

/** Percent-encoded, but for what is printable. */
export const grpcMessage = (text: string): string =>
  text.replace(/[^\x20-\x24\x26-\x7e]+/g, (part) =>
    Array.from(
      Buffer.from(part, "utf8"),
      (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
    ).join("")
  )
