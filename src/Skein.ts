/** A program on its host's node: attached to it, with no node and no port of its own. */
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { basename, resolve } from "node:path"
import { Context, Data, Deferred, Duration, Effect, Layer, Runtime } from "effect"
import { ActorReporters } from "./api/ActorReporters.ts"
import { Attachment } from "./api/Attachment.ts"
import { placeText, readPlace, saidPlace, whyNoNode } from "./api/AttachPlace.ts"
import { MeshCaller } from "./api/MeshCaller.ts"
import { MeshDirectory } from "./api/MeshDirectory.ts"
import { MeshProgram } from "./api/MeshProgram.ts"
import type { NoNode } from "./api/NodeTries.ts"
import { hostCaller } from "./model/Caller.ts"
import type { Dispatch } from "./model/Exchange.ts"
import { NodeName, type ServiceName } from "./model/Names.ts"
import { fileReasonOf } from "./model/Reason.ts"
import { refuse } from "./model/RefusedExchange.ts"
import { unixPathOf } from "./model/UnixHost.ts"
import { makePlaneLog } from "./node/PlaneLog.ts"
import { ProgramOffers } from "./node/ProgramOffers.ts"
import { softwareVersion } from "./node/Version.ts"
import { Programs } from "./request/inbound/Programs.ts"
import { LoopTicker } from "./request/LoopTicker.ts"
import type { HelloRefusal } from "./request/wire/ProgramHello.ts"
import { ServeRefused } from "./schema/ProgramOfferSchema.ts"
import { maxOffers } from "./schema/ProgramTalkSchema.ts"

/** Why a program is not attached as it starts. */
export class AttachError extends Data.TaggedError("AttachError")<{
  /** Stable: what to match on. `no_node`: nobody has answered there in time. */
  readonly code: "no_node" | "bad_address" | HelloRefusal
  readonly message: string
}> {}

export interface AttachOptions {
  /**
   * Where the node listens for programs (`programs.listen` of its config): `unix:/path`, or an address of
   * this host. A relative path counts from the working directory. Default: what `SKEIN_ATTACH` says, or
   * `unix:/run/skein/programs.sock`.
   */
  readonly to?: string | undefined
  /**
   * Where that is a port: `programs.token` of the node's data directory. Default: what `SKEIN_ATTACH_TOKEN`
   * says.
   */
  readonly tokenFile?: string | undefined
  /** What `skein status` calls the program. Default: the file it was started from. */
  readonly name?: string | undefined
  /** How long its start waits for the node. Default 10 s. */
  readonly patience?: Duration.DurationInput | undefined
  /** How long a call waits for a node that is away; less when its own time is over before. Default 10 s. */
  readonly callPatience?: Duration.DurationInput | undefined
}

/** What runs may take to get out as the program ends, ms. */
const farewell = 1_000
/** Telling the mesh what is served may take so long where there is a node, ms. */
const servePatience = 10_000

/** Characters of why a service is (not) healthy. */
const maxReason = 512

/** The node that a program is attached to, or has inside itself: what there is to know of it. */
export class Skein extends Context.Tag("skein/Skein")<
  Skein,
  {
    /** Name of the node. */
    readonly node: () => string
    /** Done as soon as the node knows a healthy endpoint of the service. */
    readonly awaitService: (service: ServiceName) => Effect.Effect<void>
  }
>() {
  /**
   * Attaches the program to the node of its host, for as long as the layer is there. It is built when the
   * node has answered. From then on it is attached again for ever, and what it serves is offered again;
   * calls meanwhile wait, or fail as `no_healthy_endpoint`. Its calls speak for whom the node's socket
   * grants (`programs.as`), which is the host by default.
   */
  static readonly attach = (
    options: AttachOptions = {}
  ): Layer.Layer<Skein | MeshCaller | MeshDirectory | MeshProgram, AttachError> =>
    Layer.scopedContext(
      Effect.gen(function* () {
        const attachment = yield* attached(options)
        const { hold, programs } = attachment
        const program = programOf(attachment)
        const skein: Skein["Type"] = {
          node: () => nameOf(attachment.hold),
          awaitService: (service) =>
            Effect.asVoid(asking((then) => attachment.hold.ask("await", service, then)))
        }
        const { peer } = yield* welcomed(attachment.hold)
        return Context.make(Skein, skein).pipe(
          Context.add(MeshCaller, {
            dispatch: attachment.hold.dispatch,
            peer,
            // Whom it really speaks for its node says.
            identity: hostCaller(NodeName.make(nameOf(attachment.hold)))
          }),
          Context.add(MeshDirectory, hold.directory.api),
          Context.add(MeshProgram, program(programs))
        )
      })
    )
}

const nameOf = ({ welcome }: Attachment): string => welcome?.node ?? "none"

const welcomed = (hold: Attachment) =>
  hold.welcome === undefined
    ? Effect.dieMessage("attached without a welcome")
    : Effect.succeed(hold.welcome)

type Answer = ReadonlyArray<ServeRefused>

const asking = (ask: (then: (refused: Answer) => void) => () => void): Effect.Effect<Answer> =>
  Effect.async<Answer>((resume) => {
    const stop = ask((refused) => resume(Effect.succeed(refused)))
    return Effect.sync(stop)
  })

interface Held {
  readonly hold: Attachment
  readonly programs: Programs
  readonly actors: ActorReporters
}

const attached = (options: AttachOptions) =>
  Effect.gen(function* () {
    const said = saidPlace(options.to, process.env["SKEIN_ATTACH"])
    const { address, place } = yield* Effect.mapError(
      readPlace(said, process.cwd()),
      (message) => new AttachError({ code: "bad_address", message })
    )
    const at = placeText({ ...said, address })
    const tokenFile = options.tokenFile ?? (process.env["SKEIN_ATTACH_TOKEN"] || undefined)
    const log = yield* makePlaneLog
    const runtime = yield* Effect.runtime<never>()
    const programs = new Programs()
    const actors = new ActorReporters()
    const ticker = yield* Effect.acquireRelease(
      Effect.sync(() => new LoopTicker()),
      (it) => Effect.sync(() => it.stop())
    )
    const onDefect = (error: unknown, where: string): void => {
      Runtime.runFork(runtime)(Effect.logError(`${where} broke`, error))
    }
    ticker.onDefect = onDefect
    const patience = Duration.toMillis(options.patience ?? "10 seconds")
    const hold: Attachment = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Attachment({
            ...{ place, address, ticker, log, onDefect },
            name: (options.name ?? basename(process.argv[1] ?? "program")).slice(0, 64),
            software: softwareVersion,
            token: () => (tokenFile === undefined ? undefined : readToken(tokenFile).token),
            actors: actors.answer,
            serve: servedBy(programs, () => nameOf(hold)),
            patience: Duration.toMillis(options.callPatience ?? "10 seconds")
          })
      ),
      (it) => Effect.promise(() => it.stop(farewell))
    )
    const up = yield* Deferred.make<void, AttachError>()
    let last: NoNode = { refused: undefined, reason: "not yet tried" }
    hold.onAttached = () => Deferred.unsafeDone(up, Effect.void)
    hold.onFailed = (why) => {
      last = why
      const { refused } = why
      // It would be the same the next time.
      if (refused === undefined || refused.code === "draining" || refused.code === "too_many")
        return
      const { code } = refused
      const token = code === "bad_token" ? `; ${tokenText(tokenFile)}` : ""
      const message = `the node at ${at} refuses this program: ${refused.message}${token}`
      Deferred.unsafeDone(up, Effect.fail(new AttachError({ code, message })))
    }
    hold.start()
    yield* Deferred.await(up).pipe(
      Effect.timeoutFail({
        duration: patience,
        onTimeout: () =>
          new AttachError({
            code: last.refused?.code ?? "no_node",
            message: `no node has taken this program at ${at} within ${patience} ms: ${whyNoNode(last, unixPathOf(address) === undefined)}`
          })
      })
    )
    return { hold, programs, actors } satisfies Held
  })

/** Of a file that is not there, or not readable, there is none to show, and the node misses it. */
const readToken = (
  file: string
): { readonly token: string | undefined; readonly problem: string | undefined } => {
  try {
    return { token: readFileSync(file, "utf8").trim(), problem: undefined }
  } catch (error) {
    return { token: undefined, problem: fileReasonOf(error) }
  }
}

/** Why a token was not the right one, and the mend. */
const tokenText = (file: string | undefined): string => {
  if (file === undefined) {
    return "no file was said to read it from: write its path as `tokenFile` or SKEIN_ATTACH_TOKEN"
  }
  const { problem } = readToken(file)
  return problem === undefined
    ? `the one in ${resolve(file)} was shown, which is not of this node, or was before it had made another`
    : `it was to be read from ${resolve(file)}, and ${problem}`
}

const servedBy =
  (programs: Programs, node: () => string): Dispatch =>
  (call, receiver) => {
    const { endpoint, service } = call
    const dispatch = endpoint === undefined ? undefined : programs.get(service, endpoint)
    if (dispatch !== undefined) return dispatch(call, receiver)
    const message = `the program of ${service} does not serve it any more`
    const fault = { code: "upstream_connect", message, node: node(), service, sent: false } as const
    return refuse(receiver, fault)
  }

const programOf =
  ({ actors, hold }: Held) =>
  (programs: Programs): MeshProgram["Type"] => {
    const offers: ProgramOffers = new ProgramOffers({
      node: () => nameOf(hold),
      ...{ programs, actors },
      // Every one of them has its link to the program.
      threads: () => 0,
      namedId: () => `program-${randomBytes(6).toString("hex")}`,
      mayServe: (service) => {
        if (offers.all.length >= maxOffers) return tooMany(service, nameOf(hold))
        return Effect.flatMap(
          asking((then) => hold.ask("mayServe", service, then)),
          ([refused]) => refused ?? Effect.void
        )
      },
      tell: (all) =>
        Effect.suspend(() => {
          const told = all.map((one) => ({ ...one, reason: one.reason.slice(0, maxReason) }))
          // A program that ends while there is no node has nobody to tell.
          const limit = hold.isAttached ? servePatience : 0
          return Effect.async<void>((resume) => {
            const stop = hold.offer(told, () => resume(Effect.void))
            return Effect.sync(stop)
          }).pipe(
            // A finalizer is not, and then a timeout waits for what it was to end.
            Effect.interruptible,
            Effect.timeoutOption(limit),
            Effect.asVoid
          )
        }),
      deadline: () => hold.welcome?.drainDeadline ?? 0
    })
    return offers.api
  }

const tooMany = (service: ServiceName, node: string) =>
  new ServeRefused({
    code: "too_many",
    message: `${service} cannot be served: the program serves ${maxOffers} services already, which is the limit of one that is attached`,
    service,
    node
  })
