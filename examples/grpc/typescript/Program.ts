/**
 * What the shop's programs in TypeScript share: a server and calls of gRPC, by @grpc/grpc-js. Nothing in
 * here or in the programs knows of a mesh: services are called by their names.
 */
import { join } from "node:path"
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation
} from "@grpc/grpc-js"
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader"

export interface Item {
  readonly name: string
}
export interface Reservation {
  readonly by: string
  readonly readyInDays: number
}
export interface Receipt {
  readonly by: string
  readonly cents: number
}
export interface Progress {
  readonly by: string
  readonly what: string
}
export interface Order {
  readonly by: string
  readonly reservation: Reservation
  readonly receipt: Receipt
  readonly progress: ReadonlyArray<Progress>
}

const definitions = loadSync(join(import.meta.dirname, "..", "shop.proto"), { defaults: true })

const definitionOf = (service: string): ServiceDefinition => {
  const found = definitions[`shop.v1.${service}`]
  if (found === undefined || "format" in found) throw new Error(`no ${service} in shop.proto`)
  return found as ServiceDefinition // what has no format is no message and no enumeration
}

const { SHOP_RESOLVER: resolver, SHOP_PORT: port = "50051" } = process.env

/** `inventory.mesh:50051`. Where the system does not know such names, gRPC is told whom to ask. */
const target = (name: string): string =>
  `${resolver === undefined ? "" : `dns://${resolver}/`}${name}.mesh:${port}`

/** What is handed on from call to call, as every service should: whose trace it is. */
export const handedOn = ({ metadata }: { readonly metadata: Metadata }): Metadata => {
  const on = new Metadata()
  for (const key of ["traceparent", "tracestate"]) {
    for (const value of metadata.get(key)) on.set(key, value)
  }
  return on
}

/** How long a call may take, ms. */
const patience = 5_000

/** Connections stay, one to each service. */
const clients = new Map<string, Client>()

const clientOf = (name: string): Client => {
  const client = clients.get(name) ?? new Client(target(name), credentials.createInsecure())
  clients.set(name, client)
  return client
}

/** How a method of a service is called, and under which name the service is. */
export interface Method {
  readonly name: string
  readonly service: string
  readonly method: string
}

const definedAs = ({ service, method }: Method) => {
  const found = definitionOf(service)[method]
  if (found === undefined) throw new Error(`no ${method} of ${service} in shop.proto`)
  return found
}

/** `Reply` is what shop.proto says: that it is so, the loader has seen to. */
export const call = <Reply>(method: Method, item: Item, metadata: Metadata): Promise<Reply> => {
  const { path, requestSerialize, responseDeserialize } = definedAs(method)
  return new Promise((resolve, reject) => {
    clientOf(method.name).makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      item,
      metadata,
      { deadline: Date.now() + patience },
      (error, reply) => (error === null ? resolve(reply as Reply) : reject(error))
    )
  })
}

/** All that a stream brings. */
export const listen = async <Part>(
  method: Method,
  item: Item,
  metadata: Metadata
): Promise<ReadonlyArray<Part>> => {
  const { path, requestSerialize, responseDeserialize } = definedAs(method)
  const deadline = Date.now() + patience
  const stream = clientOf(method.name).makeServerStreamRequest(
    ...[path, requestSerialize, responseDeserialize, item, metadata, { deadline }]
  )
  const parts: Array<Part> = []
  for await (const part of stream) parts.push(part)
  return parts
}

export type Unary = (item: Item, metadata: Metadata) => object | Promise<object>
export type Streaming = (item: Item) => Iterable<object>

const unary =
  (answer: Unary) =>
  (called: ServerUnaryCall<Item, object>, done: sendUnaryData<object>): void => {
    Promise.resolve()
      .then(() => answer(called.request, handedOn(called)))
      .then(
        (reply) => done(null, reply),
        (cause: Error) => done({ code: status.UNAVAILABLE, details: cause.message })
      )
  }

const streaming =
  (answer: Streaming) =>
  (called: ServerWritableStream<Item, object>): void => {
    for (const part of answer(called.request)) called.write(part)
    called.end()
  }

/** Serves at PORT, or any free one. */
export const serve = (
  service: string,
  methods: {
    readonly unary?: Readonly<Record<string, Unary>>
    readonly streaming?: Readonly<Record<string, Streaming>>
  }
): void => {
  const server = new Server()
  const handlers: UntypedServiceImplementation = {}
  for (const [name, answer] of Object.entries(methods.unary ?? {})) handlers[name] = unary(answer)
  for (const [name, answer] of Object.entries(methods.streaming ?? {})) {
    handlers[name] = streaming(answer)
  }
  server.addService(definitionOf(service), handlers)
  const address = `127.0.0.1:${process.env["PORT"] ?? 0}`
  server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
    if (error !== null) throw error
    console.log(`${service} listens on 127.0.0.1:${bound}`)
  })
  process.once("SIGTERM", () => server.tryShutdown(() => process.exit(0)))
}
