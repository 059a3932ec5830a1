/**
 * Where programs of this host attach: a socket for each entry of `programs`, and behind it, in every
 * request thread, one for their links. A program is known as long as its connection here is open.
 */
import { randomBytes } from "node:crypto"
import net from "node:net"
import { resolve } from "node:path"
import { Effect, Runtime, type Scope } from "effect"
import { formatAdminAddress } from "../config/HostPort.ts"
import type { ProgramsConfig } from "../config/ProgramsConfig.ts"
import { ownerIds } from "../config/SystemUsers.ts"
import { maxPrograms } from "../model/AttachedProgram.ts"
import { hostCaller, serviceCaller } from "../model/Caller.ts"
import type { OnDefect } from "../model/Defect.ts"
import type { Log } from "../model/Log.ts"
import type { MeshViewCell } from "../model/MeshView.ts"
import type { MeshId, NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import { plainLine } from "../model/PlainLine.ts"
import type { Ticker } from "../model/Time.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import { ListenError, makeListenError } from "../request/listener/ListenError.ts"
import { programRefusals } from "../request/listener/ProgramListener.ts"
import type { ListenSpec } from "../request/PlaneMessages.ts"
import { clearPath, ownPath, type UnixSpec } from "../request/socket/UnixPath.ts"
import type { ServeRefused } from "../schema/ProgramOfferSchema.ts"
import type { AttachAsk, Welcome } from "../schema/ProgramTalkSchema.ts"
import type { AskedProgram } from "./AskedProgram.ts"
import type { AttachedPrograms } from "./AttachedPrograms.ts"
import { EndpointFollower } from "./EndpointFollower.ts"
import type { OpenListener } from "./Listeners.ts"
import { type Admission, type AnsweredOnce, ProgramControl } from "./ProgramControl.ts"
import type { OpenPort } from "./ThreadPorts.ts"

export interface ProgramDoorOptions {
  readonly config: ReadonlyArray<ProgramsConfig>
  readonly self: {
    readonly node: NodeName
    readonly peer: PeerKey
    readonly mesh: MeshId
    readonly zone?: string | undefined
  }
  readonly programs: AttachedPrograms
  /** Request threads. */
  readonly threads: number
  /** Opens a port in all of them. */
  readonly open: (spec: ListenSpec) => Promise<OpenPort>
  /** Milliseconds. */
  readonly drainDeadline: () => number
  /** The node takes nothing new any more. */
  readonly isDraining: () => boolean
  /** Of those who come by a port: whether the secret is that of the node's file. */
  readonly holdsToken: (token: string) => boolean
  /** Tells the request threads who is attached. */
  readonly tell: () => void
  /** Tells the mesh what they serve. Done when it knows. */
  readonly offer: Effect.Effect<void>
  /** Fails where nobody would call it. */
  readonly whyNotServed: (service: ServiceName) => ServeRefused | undefined
  readonly awaitService: (service: ServiceName) => Effect.Effect<void>
  /** Who offers what, for programs that ask. */
  readonly view: MeshViewCell
  /** Hears of what throws: it costs the connection it threw on. */
  readonly onDefect: OnDefect
  readonly metrics: MetricRegistry
  readonly log: Log
  readonly ticker: Ticker
}

export interface ProgramDoor {
  /** Where it listens, and for whom programs that attach there speak. */
  readonly callers: ReadonlyArray<OpenListener>
  /** Those that are attached, and how to ask how their actors fare. */
  readonly asked: () => ReadonlyArray<AskedProgram>
  /** Takes nothing new and waits for what runs, at most `deadline` ms. */
  readonly drain: (deadline: number) => Effect.Effect<void>
}

/** Permissions of a socket where nothing is said: only the user of the node may connect. */
const ownMode = "0600"

/** What a program serves is told again after so long at the earliest, ms. */
const betweenOffers = 50

const secret = (): string => randomBytes(32).toString("base64url")

/** What a program is told of the port of all threads. */
type Place = Welcome["links"]

export const makeProgramDoor = (
  options: ProgramDoorOptions
): Effect.Effect<ProgramDoor, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const { log, metrics, programs, self, ticker, view } = options
    const runtime = yield* Effect.runtime<never>()
    const controls = new Map<string, ProgramControl>()
    const nextTurn = new Map<string, number>()
    const open = new Set<ProgramControl>()
    const refusals = programRefusals(metrics)
    const attachedGauge = metrics
      .gauge("skein_programs", "Programs of this host that are attached to the node.", [])
      .cell({})

    const run = (effect: Effect.Effect<void>): (() => void) => {
      const fiber = Runtime.runFork(runtime)(effect)
      return () => fiber.unsafeInterruptAsFork(fiber.id())
    }
    const changed = (): void => {
      attachedGauge.set(programs.count)
      options.tell()
    }

    const admit = (
      control: ProgramControl,
      ask: AttachAsk,
      { config, address }: { readonly config: ProgramsConfig; readonly address: string }
    ): Admission => {
      if (options.isDraining()) {
        const message = `the node ${self.node} takes nothing new`
        return { refused: { code: "draining", message } }
      }
      if (!("path" in config.listen) && !options.holdsToken(ask.token ?? "")) {
        const message = `${address} is a port, so a program shows the token that the node keeps in programs.token of its data directory`
        return { refused: { code: "bad_token", message } }
      }
      const named = { ...ask, name: plainLine(ask.name) }
      const as = identityOf(config, self.node)
      const attached = programs.attach(named, address, as, ticker.wall())
      if (attached === undefined) {
        const message = `${maxPrograms} programs are attached to the node ${self.node}, which is the limit`
        return { refused: { code: "too_many", message } }
      }
      controls.get(attached.id)?.close()
      controls.set(attached.id, control)
      log("info", `the program ${attached.name} is attached`, { pid: attached.pid, at: address })
      changed()
      return { attached }
    }

    /** Each word of it is told to the whole mesh: so many and no more. */
    const inTurn = <A>(program: string, then: () => Effect.Effect<A>): Effect.Effect<A> =>
      Effect.suspend(() => {
        const now = ticker.now()
        const turn = Math.max(now, nextTurn.get(program) ?? 0)
        nextTurn.set(program, turn + betweenOffers)
        return turn === now ? then() : Effect.delay(Effect.suspend(then), turn - now)
      })

    const answer = (
      program: string,
      question: AnsweredOnce
    ): Effect.Effect<ReadonlyArray<ServeRefused>> => {
      switch (question.type) {
        case "mayServe":
          return Effect.sync(() => {
            const refused = options.whyNotServed(question.service)
            return refused === undefined ? [] : [refused]
          })
        case "serve":
          return inTurn(program, () => {
            const refused = programs.serve(program, question.offers, ({ service }) =>
              options.whyNotServed(service)
            )
            return Effect.as(options.offer, refused)
          })
        case "await":
          return Effect.as(options.awaitService(question.service), [])
      }
    }

    const onClosed = (control: ProgramControl): void => {
      open.delete(control)
      const { program } = control
      // One that has come back has another connection already.
      if (program === undefined || controls.get(program.id) !== control) return
      controls.delete(program.id)
      nextTurn.delete(program.id)
      const served = (programs.get(program.id)?.offers.length ?? 0) > 0
      programs.detach(program.id)
      log("info", `the program ${program.name} has gone`, { pid: program.pid })
      changed()
      if (served) run(options.offer)
    }

    const openOne = (written: ProgramsConfig) =>
      Effect.gen(function* () {
        const config = anchored(written)
        const { listen } = config
        const unix = yield* unixOf(config)
        const spec: ListenSpec = {
          kind: "programs",
          ...("path" in listen
            ? { host: formatAdminAddress(listen), port: 0 }
            : { ...listen, port: 0 }),
          unix
        }
        const links = yield* Effect.acquireRelease(
          Effect.tryPromise({
            try: () => options.open(spec),
            catch: (cause) => asListenError(spec, cause)
          }),
          (port) => Effect.sync(port.close)
        )
        const place: Place = "path" in listen ? { path: listen.path } : links.address
        const server = yield* Effect.acquireRelease(
          Effect.tryPromise({
            try: () => listenAt(config, unix),
            catch: (cause) => asListenError({ ...spec, ...("path" in listen ? {} : listen) }, cause)
          }),
          (it) => Effect.sync(() => it.close())
        )
        const address = addressOf(server, config)
        server.on("error", (error) =>
          log("error", `${address} could not accept a program: ${error.message}`, undefined)
        )
        server.on("connection", (socket) => {
          if (open.size >= 2 * maxPrograms) {
            socket.destroy()
            return
          }
          open.add(
            new ProgramControl(socket, {
              ...{ self, links: place, threads: options.threads, answer, run, onClosed },
              follow: (service, sink) => {
                const follower = new EndpointFollower({ service, view, ticker, sink })
                return () => follower.stop()
              },
              drainDeadline: options.drainDeadline,
              identity: identityOf(config, self.node),
              admit: (control, ask) => admit(control, ask, { config, address }),
              onRefused: ({ code }) => refusals.cell({ code }).inc(),
              onDefect: options.onDefect
            })
          )
        })
        return { address, as: config.as, links }
      })

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        // Those that come are another's: nobody is told that they have gone.
        controls.clear()
        for (const control of [...open]) control.close()
      })
    )
    const opened = yield* Effect.forEach(options.config, openOne)
    return {
      asked: () =>
        programs.all().map(({ id, name, offers }) => ({
          program: name,
          services: offers.map(({ service }) => service),
          ask: (question, then) => {
            const control = controls.get(id)
            if (control !== undefined) return control.askActors(question, then)
            then({ reason: "it is not attached any more" })
            return () => undefined
          }
        })),
      callers: opened.map(({ address, as }) => ({ address, as })),
      drain: (deadline) =>
        Effect.forEach(opened, ({ links }) => Effect.promise(() => links.drain(deadline)), {
          concurrency: "unbounded",
          discard: true
        })
    }
  })

export const newSecret = secret

/** Of a node inside a program: what no config file has said counts from where that was started. */
const anchored = (config: ProgramsConfig): ProgramsConfig =>
  "path" in config.listen ? { ...config, listen: { path: resolve(config.listen.path) } } : config

const identityOf = ({ as }: ProgramsConfig, node: NodeName) =>
  as === undefined ? hostCaller(node) : serviceCaller(as)

const unixOf = ({
  listen,
  mode = ownMode,
  owner
}: ProgramsConfig): Effect.Effect<UnixSpec | undefined, ListenError> => {
  if (!("path" in listen)) return Effect.succeed(undefined)
  return Effect.try({
    try: () => ({ path: listen.path, mode: Number.parseInt(mode, 8), ...ownerIds(owner) }),
    catch: (cause) => asListenError({ host: formatAdminAddress(listen), port: 0 }, cause)
  })
}

const listenAt = async (
  { listen }: ProgramsConfig,
  unix: UnixSpec | undefined
): Promise<net.Server> => {
  if (unix !== undefined) await clearPath(unix.path)
  const server = net.createServer({ allowHalfOpen: true, noDelay: true })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen({ ...listen, backlog: 128 }, () => {
      server.off("error", reject)
      resolve()
    })
  })
  try {
    if (unix !== undefined) await ownPath(unix)
  } catch (error) {
    server.close()
    throw error
  }
  return server
}

const addressOf = (server: net.Server, { listen }: ProgramsConfig): string => {
  const bound = server.address()
  return typeof bound === "object" && bound !== null && !("path" in listen)
    ? formatAdminAddress({ host: listen.host, port: bound.port })
    : formatAdminAddress(listen)
}

const asListenError = (
  { host, port }: { readonly host: string; readonly port: number },
  cause: unknown
): ListenError =>
  cause instanceof ListenError
    ? cause
    : makeListenError(host, port, cause instanceof Error ? cause : new Error(String(cause)))
