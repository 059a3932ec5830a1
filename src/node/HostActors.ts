/**
 * Asks the programs of this host how their actors fare: the one that this node is in, and those that are
 * attached. Each has so long to answer, and one that does not is named.
 */
import { Effect } from "effect"
import { actorService, isActorService } from "../entity/ActorService.ts"
import type { PeerActors } from "../mesh/host/MeshRpc.ts"
import type { ActorQuestion, ActorReports } from "../schema/ActorReportSchema.ts"
import type { AskedProgram } from "./AskedProgram.ts"
import type { NoReports } from "./ProgramControl.ts"

export type HostAnswer = Pick<PeerActors, "reports" | "silent">

/** Milliseconds that a program has. It looks up what it has in its memory. */
export const programPatience = 500

export class HostActors {
  readonly #sources: Array<() => ReadonlyArray<AskedProgram>> = []

  /** More programs that there may be. */
  add(source: () => ReadonlyArray<AskedProgram>): void {
    this.#sources.push(source)
  }

  /** Of all that offer actors, or the type that is asked for. `patience` in ms. */
  readonly ask = (
    question: ActorQuestion,
    patience: number = programPatience
  ): Effect.Effect<HostAnswer> =>
    Effect.suspend(() => {
      const { type } = question
      const only = type === undefined ? undefined : actorService(type)
      const isMeant = (service: string): boolean =>
        type === undefined ? isActorService(service) : service === only
      const asked = this.#sources
        .flatMap((source) => source())
        .filter(({ services }) => services.some(isMeant))
      return Effect.map(
        Effect.forEach(asked, (one) => askOne(one, question, patience), {
          concurrency: "unbounded"
        }),
        (answers): HostAnswer => ({
          reports: answers.flatMap(({ answer, program }) =>
            "reason" in answer ? [] : answer.map((report) => ({ program, report }))
          ),
          silent: answers.flatMap(({ answer, program }) =>
            "reason" in answer ? [{ program, reason: answer.reason }] : []
          )
        })
      )
    })
}

const askOne = ({ ask, program }: AskedProgram, question: ActorQuestion, patience: number) =>
  Effect.async<ActorReports | NoReports>((resume) => {
    const stop = ask(question, (answer) => resume(Effect.succeed(answer)))
    return Effect.sync(stop)
  }).pipe(
    Effect.timeoutTo({
      duration: patience,
      onSuccess: (answer) => answer,
      onTimeout: (): NoReports => ({ reason: `it has not answered within ${patience} ms` })
    }),
    Effect.map((answer) => ({ program, answer }))
  )
