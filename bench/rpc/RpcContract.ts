/** One RPC that all ways have: a small message there, a small one back, nothing done with it. */

import { Rpc, RpcGroup } from "@effect/rpc"
import { ChannelCredentials, type ClientOptions, makeGenericClientConstructor } from "@grpc/grpc-js"
import { Schema } from "effect"

export const Payments = RpcGroup.make(
  Rpc.make("Charge", { payload: { text: Schema.String }, success: Schema.String })
)

export const question = "q".repeat(30)
export const answerTo = (text: string): string => `charged ${text}`

/**
 * How an RPC travels: over the mesh by itself, from programs with a node within or attached to their host's; as a
 * plain request of HTTP between such programs, which is what the mesh adds nothing to; or as @effect/rpc and
 * @grpc/grpc-js do it without one.
 */
export const transports = [
  ...(["mesh", "attached", "mesh-http", "attached-http"] as const),
  ...(["socket", "http", "grpc"] as const)
]
export type Transport = (typeof transports)[number]
export const isTransport = (text: string | undefined): text is Transport =>
  transports.some((name) => name === text)

/** The program has a node within, or is attached to its host's. */
export const placeOf = (transport: Transport): "within" | "attached" | undefined =>
  transport.startsWith("mesh")
    ? "within"
    : transport.startsWith("attached")
      ? "attached"
      : undefined
/** Where plain requests of HTTP are answered. */
export const path = "/charge"

/** Its name in the mesh: of its own, so that no call finds the server of another way. */
export const serviceOf = (transport: Transport): string => `payments-${transport}`

const serialize = (text: string): Buffer => Buffer.from(text)
const deserialize = (bytes: Buffer): string => bytes.toString()

export const grpcDefinition = {
  Charge: {
    path: "/shop.v1.Payments/Charge",
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize
  }
}

const Client = makeGenericClientConstructor(grpcDefinition, "Payments")

/** Each call once: fails with what went wrong. */
export const grpcCalls = (address: string, options: ClientOptions = {}) => {
  const client = new Client(address, ChannelCredentials.createInsecure(), options)
  return (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        grpcDefinition.Charge.path,
        serialize,
        deserialize,
        text,
        (error, answer = "") => (error === null ? resolve(answer) : reject(error))
      )
    })
}
