/** One RPC that all ways have: a small message there, a small one back, nothing done with it. */

import { Rpc, RpcGroup } from "@effect/rpc"
import { ChannelCredentials, type ClientOptions, makeGenericClientConstructor } from "@grpc/grpc-js"
import { Schema } from "effect"

export const Payments = RpcGroup.make(
  Rpc.make("Charge", { payload: { text: Schema.String }, success: Schema.String })
)

/** The service's name in the mesh. */
export const service = "payments"

export const question = "q".repeat(30)
export const answerTo = (text: string): string => `charged ${text}`

/** How an RPC travels: over the mesh by itself, or as @effect/rpc and @grpc/grpc-js do it without one. */
export const transports = ["mesh", "socket", "http", "grpc"] as const
export type Transport = (typeof transports)[number]
export const isTransport = (text: string | undefined): text is Transport =>
  transports.some((name) => name === text)

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
