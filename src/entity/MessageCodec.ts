/**
 * What a message's Schemas make of its parts, compiled once for each RPC. Most of them ask nobody and are done at
 * once: their effect is an Either then, and needs no fiber.
 */
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcSchema from "@effect/rpc/RpcSchema"
import { Effect, Either, Exit, Option, Schema, SchemaAST } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"

type AnyExit = Exit.Exit<unknown, unknown>
export type EncodedExit = Schema.ExitEncoded<unknown, unknown, unknown>
type Parts = NonEmptyReadonlyArray<unknown>

/** What an RPC's Schemas need is in the context of the type's layer or of the caller, in which this is run. */
type Coded<A> = Effect.Effect<A, unknown>

export interface MessageCodec {
  readonly encodePayload: (payload: unknown) => Coded<unknown>
  readonly decodePayload: (payload: unknown) => Coded<unknown>
  readonly encodeExit: (exit: AnyExit) => Coded<EncodedExit>
  readonly decodeExit: (exit: unknown) => Coded<AnyExit>
  readonly encodeParts: (parts: Parts) => Coded<Parts>
  readonly decodeParts: (parts: unknown) => Coded<Parts>
}

const codecs = new WeakMap<Rpc.AnyWithProps, MessageCodec>()

export const codecOf = (rpc: Rpc.AnyWithProps): MessageCodec => {
  const known = codecs.get(rpc)
  if (known !== undefined) return known
  const made = makeCodec(rpc)
  codecs.set(rpc, made)
  return made
}

/** What it comes to, if that is known at once. */
export const atOnce = <A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> | undefined => {
  if (!Either.isEither(effect)) return undefined
  const either = effect as Either.Either<A, E>
  return either._tag === "Right" ? Exit.succeed(either.right) : Exit.fail(either.left)
}

const makeCodec = (rpc: Rpc.AnyWithProps): MessageCodec => {
  const payload = known(rpc.payloadSchema)
  const exit = known(Rpc.exitSchema(rpc as unknown as Rpc.Any))
  const streamed = RpcSchema.getStreamSchemas(rpc.successSchema.ast)
  const part = Option.isSome(streamed) ? streamed.value.success : Schema.Never
  const parts = Schema.NonEmptyArray(known(part))
  const encodeExit = Schema.encodeUnknown(exit) as unknown as MessageCodec["encodeExit"]
  const decodeExit = Schema.decodeUnknown(exit) as unknown as MessageCodec["decodeExit"]
  const common = {
    encodePayload: Schema.encodeUnknown(payload),
    decodePayload: Schema.decodeUnknown(payload),
    encodeParts: Schema.encodeUnknown(parts),
    decodeParts: Schema.decodeUnknown(parts)
  }
  if (Option.isSome(streamed)) return { ...common, encodeExit, decodeExit }
  // Nearly all answers are successes, and Schema.Exit looks at each of its cases: they are encoded as it does.
  const success = known(rpc.successSchema)
  const encodeValue = Schema.encodeUnknown(success)
  const decodeValue = Schema.decodeUnknown(success)
  return {
    ...common,
    encodeExit: (it) =>
      Exit.isSuccess(it) ? mapNow(encodeValue(it.value), encoded) : encodeExit(it),
    decodeExit: (it) =>
      isSuccess(it) ? mapNow(decodeValue(it.value), Exit.succeed) : decodeExit(it)
  }
}

const encoded = (value: unknown): EncodedExit => ({ _tag: "Success", value })

const isSuccess = (exit: unknown): exit is { readonly _tag: "Success"; readonly value?: unknown } =>
  typeof exit === "object" && exit !== null && "_tag" in exit && exit._tag === "Success"

/** An Either stays one. */
const mapNow = <A, B>(effect: Coded<A>, then: (value: A) => B): Coded<B> =>
  Either.isEither(effect)
    ? Either.map(effect as Either.Either<A, unknown>, then)
    : Effect.map(effect, then)

/**
 * What the payload's own `make` does with it, if it has one. That of a plain struct looks for defaults, and puts its
 * validator together, each time; it is compiled once here.
 */
export const payloadMaker = (
  schema: Rpc.AnyWithProps["payloadSchema"]
): ((payload: unknown) => unknown) | undefined => {
  if (!("make" in schema)) return undefined
  // By its Schema: that of a class makes one of whatever it is asked of.
  const maker = schema as { readonly make: (payload: unknown) => unknown }
  const make = (payload: unknown): unknown => maker.make(payload)
  if (!isPlainStruct(schema)) return make
  const validate = Schema.validateSync(known(schema))
  return (payload) =>
    typeof payload === "object" && payload !== null ? validate(payload) : make(payload)
}

/** Made by `Schema.Struct`, and nothing else; with fields, and none that may have a default. */
const isPlainStruct = (schema: Rpc.AnyWithProps["payloadSchema"]): boolean => {
  const isOwn = Object.hasOwn(schema, "make") && Object.hasOwn(schema, "fields")
  if (!isOwn || "fields" in Object.getPrototypeOf(schema) || !SchemaAST.isTypeLiteral(schema.ast)) {
    return false
  }
  const fields = Object.values(Reflect.get(schema, "fields"))
  return fields.length > 0 && !fields.some(Schema.isPropertySignature)
}

/** That of an RPC of which no more is known than that it has one. */
const known = (schema: unknown): Schema.Schema<unknown, unknown> =>
  schema as Schema.Schema<unknown, unknown>
