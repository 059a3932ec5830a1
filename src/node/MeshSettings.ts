/**
 * The mesh's settings at this node: what holds now, who is told when that changes, and how one is set from
 * here. Thin: what holds is decided in mesh/settings, kept and spread by the catalogue.
 */
import { Clock, Effect, Either } from "effect"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import { furtherKind } from "../mesh/catalogue/FurtherRecord.ts"
import { maxAhead } from "../mesh/catalogue/RecordTime.ts"
import { draftSetting, type SettingDraft } from "../mesh/settings/SettingDraft.ts"
import { SettingJudge } from "../mesh/settings/SettingJudge.ts"
import { bodyBytes, encodeSetting } from "../mesh/settings/SettingRecord.ts"
import { SettingsTable, versionOf } from "../mesh/settings/SettingsTable.ts"
import { describeSpan } from "../mesh/trust/CertificateError.ts"
import { sealEnvelope } from "../mesh/trust/Envelope.ts"
import { grantsCapability } from "../mesh/trust/Grant.ts"
import type { IdentityCell } from "../mesh/trust/NodeIdentity.ts"
import { contain, type OnDefect } from "../model/Defect.ts"
import type { NodeName } from "../model/Names.ts"
import { formatPath } from "../model/Problem.ts"
import {
  type Setting,
  type SettingInForce,
  type SettingsView,
  type SettingVersion,
  settingLimits
} from "../model/Setting.ts"
import {
  bodyProblems,
  capabilitiesFor,
  kindNames,
  kindOf,
  nameProblem,
  type SettingKind
} from "../schema/SettingKinds.ts"
import { SettingNotWritten } from "./SettingNotWritten.ts"

/** Judges settings for the catalogue, by the kinds that this version knows. */
export const settingJudge = new SettingJudge(capabilitiesFor)

export interface MeshSettingsOptions {
  readonly identity: IdentityCell
  readonly catalogue: Pick<CatalogueShape, "announce" | "current" | "foresee" | "subscribeSettings">
  /** Members at hand whose certificates grant this capability, for the mend. */
  readonly holders: (capability: SettingKind["capability"]) => ReadonlyArray<NodeName>
  /** Hears of what throws in a listener. */
  readonly onDefect: OnDefect
  /** Hears of each version that was not held here, from wherever it came, and whether it is in force. */
  readonly onWritten?: ((setting: Setting, holds: boolean) => void) | undefined
}

type OfKind = ReadonlyMap<string, SettingInForce>
export type KindListener = (ofKind: OfKind) => void

const nothing: OfKind = new Map()

const notWritten = (code: SettingNotWritten["code"], message: string, hint: string) =>
  new SettingNotWritten({ code, message, hint })

export class MeshSettings {
  readonly table = new SettingsTable()
  readonly #options: MeshSettingsOptions
  readonly #listeners = new Map<string, Set<KindListener>>()
  // One at a time: each goes above the one before.
  readonly #turns = Effect.unsafeMakeSemaphore(1)

  /** Knows at once what the catalogue holds, and follows it for as long as that lives. */
  constructor(options: MeshSettingsOptions) {
    this.#options = options
    const { catalogue, onWritten } = options
    catalogue.subscribeSettings((changes) => {
      const kinds = this.table.follow(changes)
      this.#tell(kinds)
      for (const { after } of changes) {
        if (after === undefined) continue
        const { kind, name } = after.setting
        onWritten?.(after.setting, this.table.settled(kind, name)?.inForce === after.setting)
      }
    })
    this.table.follow(
      Array.from(catalogue.current().settings(), (after) => ({ before: undefined, after }))
    )
  }

  view(): SettingsView {
    return this.table.view
  }

  /**
   * Called synchronously with what holds of that kind: at once, and after every change; answers how to
   * stop.
   */
  subscribe(kind: string, listener: KindListener): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set()
    this.#listeners.set(kind, listeners.add(listener))
    this.#call(kind, listener)
    return () => {
      listeners.delete(listener)
    }
  }

  /** Signs it, holds it and tells the mesh; done when it holds here. */
  write(draft: SettingDraft): Effect.Effect<SettingVersion, SettingNotWritten> {
    return this.#signed(draft, this.#options.catalogue.announce)
  }

  /** Fails as `write` would now; nothing comes of it. */
  foresee(draft: SettingDraft): Effect.Effect<void, SettingNotWritten> {
    return this.#signed(draft, this.#options.catalogue.foresee)
  }

  #signed(
    draft: SettingDraft,
    handOver: CatalogueShape["announce"]
  ): Effect.Effect<SettingVersion, SettingNotWritten> {
    return this.#turns.withPermits(1)(
      Effect.gen(this, function* () {
        const { catalogue, identity } = this.#options
        yield* this.check(draft)
        const wall = yield* Clock.currentTimeMillis
        const { current: self } = identity
        const setting = draftSetting(draft, this.table.held(draft.kind, draft.name), {
          ...{ signer: self.peer, node: self.name, wall, seen: this.table.seen }
        })
        if (setting.epoch - wall > maxAhead) {
          return yield* notWritten(
            "clock_behind",
            `this host's clock is ${describeSpan(setting.epoch - wall)} behind what the mesh was told already, so nobody would believe when this was set`,
            "Check time synchronisation here: `skein doctor` compares clocks."
          )
        }
        const outcome = yield* handOver(
          sealEnvelope(self, furtherKind, encodeSetting(setting))
        ).pipe(
          Effect.mapError(({ code, message }) =>
            notWritten("refused", `${message} (${code})`, "`skein doctor` looks at this node.")
          )
        )
        if (outcome === "full") return yield* noRoom(catalogue.current().settingsHeld.records)
        return versionOf(setting)
      })
    )
  }

  /** What is wrong with setting this from here, before anything is signed. */
  check({ kind, name, body }: Pick<SettingDraft, "kind" | "name" | "body">) {
    return Effect.suspend((): Either.Either<void, SettingNotWritten> => {
      const known = kindOf(kind)
      if (known === undefined) {
        const kinds = kindNames().join(", ")
        const message = `this node knows no settings of the kind ${kind}; it knows ${kinds}`
        const hint = "Set it from a node of the version that knows it."
        return Either.left(notWritten("unknown_kind", message, hint))
      }
      const wrong = nameProblem(kind, name)
      // What cannot be called so is not there to be deleted.
      if (wrong !== undefined && body !== undefined) {
        const message = `${kind} ${name}: ${wrong}`
        return Either.left(notWritten("invalid", message, "Give it another name."))
      }
      const denied = this.#denied(known, kind, name)
      if (denied !== undefined) return Either.left(denied)
      if (body === undefined) {
        if (kind === "trust" && name.startsWith("root.")) {
          const message = `${name} is what a root of the mesh has signed, and nobody takes that back`
          const hint =
            "`skein root status` says what holds. To replace a root again: `skein root rotate`."
          return Either.left(notWritten("invalid", message, hint))
        }
        const isThere = this.table.settled(kind, name)?.inForce.body !== undefined
        return isThere
          ? Either.void
          : Either.left(
              notWritten(
                "not_there",
                `there is no ${kind} ${name}`,
                kind === "trust"
                  ? "`skein revoke` lists what is revoked, each with the command that takes it back."
                  : `\`skein get ${kind}\` lists them.`
              )
            )
      }
      const [first, ...others] = bodyProblems(known, body)
      if (first !== undefined) {
        const all = [first, ...others].map(({ message, path }) =>
          path.length === 0 ? message : `${formatPath(path)}: ${message}`
        )
        const message = `${kind} ${name}: ${all.join("; ")}`
        return Either.left(notWritten("invalid", message, "Nothing was changed."))
      }
      const bytes = bodyBytes(body)
      if (bytes > settingLimits.body) {
        const message = `${kind} ${name} has ${bytes} bytes; ${settingLimits.body} is the limit`
        return Either.left(notWritten("too_large", message, "Part it into several names."))
      }
      return Either.void
    })
  }

  #denied(known: SettingKind, kind: string, name: string): SettingNotWritten | undefined {
    const { holders, identity } = this.#options
    const { certificate, name: node } = identity.current
    const { capability } = known
    if (grantsCapability(certificate, capability)) return undefined
    const others = holders(capability)
    const from = others.length === 0 ? "a node that holds it" : others.slice(0, 5).join(" or ")
    return notWritten(
      "not_granted",
      `${node} may not ${kind === "trust" && name.startsWith("root.") ? "replace the root of the mesh" : `set ${kind} ${name}`}: its certificate does not grant the capability ${capability}`,
      `Do it on ${from}, or let this node join anew with an invite of \`skein invite --capabilities ${capability}\`.`
    )
  }

  #tell(kinds: ReadonlySet<string>): void {
    for (const kind of kinds) {
      for (const listener of this.#listeners.get(kind) ?? []) this.#call(kind, listener)
    }
  }

  #call(kind: string, listener: KindListener): void {
    contain(this.#options.onDefect, `a follower of the ${kind} settings`, () =>
      listener(this.table.view.get(kind) ?? nothing)
    )
  }
}

const noRoom = (records: number) =>
  notWritten(
    "full",
    `the mesh holds ${records} settings, and there is no room for more`,
    "Delete what is not needed: `skein get` lists it. What is deleted takes room for a month."
  )
