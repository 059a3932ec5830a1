/**
 * What an attached program and its node say to each other on the connection `control`, a line of JSON each,
 * after the first lines (request/wire/ProgramHello.ts). Unknown keys and messages are those of a later
 * version and are passed over.
 */
import { Schema } from "effect"
import { ActorQuestion, ActorReports } from "./ActorReportSchema.ts"
import { MeshId, NodeName, PeerKey, ServiceName } from "./NamesSchema.ts"
import { ProgramOffer, ServeRefused } from "./ProgramOfferSchema.ts"

/** Bytes of a line. */
export const talkBytes = 256 * 1024
/** Services that one program serves. */
export const maxOffers = 64
/** Questions of a program that are not answered yet. */
export const maxQuestions = 256
/** Services whose endpoints one program follows. */
export const maxFollowed = 256
/** Questions of a node that a program has not answered yet. */
export const maxAsked = 16
/** Endpoints in one line. */
export const newsEndpoints = 200

const Short = Schema.String.pipe(Schema.maxLength(256))

/** In the hello, besides what every one says. */
export const AttachAsk = Schema.Struct({
  /** For people: what the program is called. */
  name: Schema.String.pipe(Schema.maxLength(64)),
  pid: Schema.optional(Schema.Int),
  software: Schema.optional(Schema.String.pipe(Schema.maxLength(64))),
  /** Of a node's file, where the address is a port. */
  token: Schema.optional(Short),
  /** What it was before its connection, or its node's mesh thread, broke. */
  resume: Schema.optional(Schema.Struct({ program: Short, pass: Short }))
})
export type AttachAsk = typeof AttachAsk.Type

/** Where links are opened: one path for each thread, or one port for all. */
const LinkPlace = Schema.Union(
  Schema.Struct({ path: Schema.String }),
  Schema.Struct({ host: Schema.String, port: Schema.Int })
)

export const Welcome = Schema.Struct({
  version: Schema.Int,
  node: NodeName,
  peer: PeerKey,
  mesh: MeshId,
  /** Absent: it is in none, or of a release that does not say. */
  zone: Schema.optional(Schema.String),
  /** For whom the program's calls speak: `orders`, or `host/NAME`. */
  identity: Schema.String,
  program: Schema.String,
  pass: Schema.String,
  links: LinkPlace,
  /** Request threads: each is to have a link. */
  threads: Schema.Int.pipe(Schema.between(1, 256)),
  /** Milliseconds that what runs may take to end by itself. */
  drainDeadline: Schema.Number
})
export type Welcome = typeof Welcome.Type

const id = Schema.Int

/** A question of a program. Each is answered once. */
export const ProgramQuestion = Schema.Union(
  Schema.Struct({ type: Schema.Literal("mayServe"), id, service: ServiceName }),
  /** All that it serves: answered when the mesh has been told. */
  Schema.Struct({
    type: Schema.Literal("serve"),
    id,
    offers: Schema.Array(ProgramOffer).pipe(Schema.maxItems(maxOffers))
  }),
  /** Answered when somebody offers the service. */
  Schema.Struct({ type: Schema.Literal("await"), id, service: ServiceName }),
  /** Who offers the service. Answered with news (`EndpointNews`) until it is cancelled. */
  Schema.Struct({ type: Schema.Literal("follow"), id, service: ServiceName }),
  /** No answer is wanted any more. */
  Schema.Struct({ type: Schema.Literal("cancel"), id })
)
export type ProgramQuestion = typeof ProgramQuestion.Type

export const NodeAnswer = Schema.Struct({
  type: Schema.Literal("answer"),
  id,
  /** What of it is not done, and why. */
  refused: Schema.Array(ServeRefused)
})
export type NodeAnswer = typeof NodeAnswer.Type

/** As `EndpointView` (model/MeshView.ts). */
const Endpoint = Schema.Struct({
  key: Schema.String,
  peer: PeerKey,
  node: NodeName,
  zone: Schema.optional(Schema.String),
  endpoint: Schema.String,
  healthy: Schema.Boolean,
  draining: Schema.Boolean,
  member: Schema.Literal("alive", "suspect", "dead"),
  weight: Schema.Number,
  local: Schema.Boolean
})

/** What is new of a service that a program follows. */
export const EndpointNews = Schema.Struct({
  type: Schema.Literal("endpoints"),
  id,
  /** All there is: nothing stays beside it. */
  whole: Schema.Boolean,
  /** New, or they say something new. */
  set: Schema.Array(Endpoint).pipe(Schema.maxItems(newsEndpoints)),
  /** Keys of those that are no longer there. */
  removed: Schema.Array(Schema.String),
  /** It goes on in the next line, and is to be taken for one with it. */
  more: Schema.Boolean
})
export type EndpointNews = typeof EndpointNews.Type

/** A question of a node: how the program's actors fare. Answered once, by `ActorsTold`. From version 3 on. */
export const ActorsAsked = Schema.Struct({
  type: Schema.Literal("actors"),
  id,
  question: ActorQuestion
})

export const ActorsTold = Schema.Struct({
  type: Schema.Literal("actors"),
  id,
  reports: ActorReports
})
export type ActorsTold = typeof ActorsTold.Type

/** What a program says. */
export const ProgramWord = Schema.Union(ProgramQuestion, ActorsTold)
export type ProgramWord = typeof ProgramWord.Type

/** What a node says. */
export const NodeWord = Schema.Union(NodeAnswer, EndpointNews, ActorsAsked)
export type NodeWord = typeof NodeWord.Type
