/**
 * What was said about trust in the mesh, as this node holds it: follows the settings of that kind in the
 * catalogue, makes revocations of them and has them carried out. Of two nodes that meet each first hears
 * what the other holds of it (TrustTalk, mesh/trust/Admission.ts).
 */
import { createHash } from "node:crypto"
import { Effect, Either, Schema } from "effect"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import { furtherKind } from "../mesh/catalogue/FurtherRecord.ts"
import type { SettingEntry } from "../mesh/catalogue/RecordEntry.ts"
import type { EnvelopeCache } from "../mesh/trust/Envelope.ts"
import { openEnvelope } from "../mesh/trust/Envelope.ts"
import type { IdentityCell } from "../mesh/trust/NodeIdentity.ts"
import { Revocations, type TrustStatement } from "../mesh/trust/Revocations.ts"
import { type TrustTalk, trustDigestBytes } from "../mesh/trust/TrustTalk.ts"
import type { PeerKey } from "../model/Names.ts"
import { settingLimits } from "../model/Setting.ts"
import { RootBody, TrustBody } from "../schema/TrustSchema.ts"

export interface TrustKeeperOptions {
  readonly identity: IdentityCell
  readonly catalogue: Pick<CatalogueShape, "current" | "receive" | "subscribeSettings">
  readonly cache: EnvelopeCache
  /** Has it carried out. */
  readonly hear: (next: Revocations) => void
  /** What roots have signed, as settings brought it: each node judges it for itself. */
  readonly hearOfRoots: (statements: ReadonlyArray<Uint8Array>) => void
  readonly run: <A>(effect: Effect.Effect<A>) => Promise<A>
}

const isTrust = ({ setting }: Pick<SettingEntry, "setting">): boolean => setting.kind === "trust"

const readBody = Schema.decodeUnknownOption(TrustBody)
const isRootBody = Schema.is(RootBody)

const rootStatementIn = ({ setting: { body } }: SettingEntry): ReadonlyArray<Uint8Array> =>
  isRootBody(body) ? [new Uint8Array(Buffer.from(body.statement, "base64"))] : []

export class TrustKeeper implements TrustTalk {
  readonly #options: TrustKeeperOptions
  /** By key of the catalogue; undefined: of a form that a later version added. */
  readonly #held = new Map<string, { entry: SettingEntry; said: TrustStatement | undefined }>()
  #digest: Uint8Array | undefined

  /** Carries out at once what the catalogue holds, and follows it for as long as that lives. */
  constructor(options: TrustKeeperOptions) {
    this.#options = options
    const { catalogue } = options
    catalogue.subscribeSettings((changes) => this.#follow(changes))
    this.#follow(
      Array.from(catalogue.current().settings(), (after) => ({ before: undefined, after }))
    )
  }

  /** The same on every node that holds the same. */
  digest(): Uint8Array {
    if (this.#digest === undefined) {
      const hash = createHash("sha256").update("skein trust\n")
      for (const key of Array.from(this.#held.keys()).sort()) {
        hash.update(this.#held.get(key)!.entry.hash)
      }
      this.#digest = new Uint8Array(hash.digest().subarray(0, trustDigestBytes))
    }
    return this.#digest
  }

  records(): ReadonlyArray<Uint8Array> {
    return Array.from(this.#held.values(), ({ entry }) => entry.bytes)
  }

  about(peer: PeerKey): ReadonlyArray<Uint8Array> {
    return Array.from(this.#held.values())
      .filter(({ said }) => said?.body?.revoke === "node" && said.body.peer === peer)
      .map(({ entry }) => entry.bytes)
      .slice(0, mostShown)
  }

  /** Through the door, like every record. What is refused there is left out, whoever brought it. */
  async take(records: ReadonlyArray<Uint8Array>): Promise<void> {
    for (const bytes of records) {
      await this.#options.run(
        Effect.catchAll(this.#options.catalogue.receive(bytes), ({ message }) =>
          Effect.logDebug(`what was said about trust was not taken: ${message}`)
        )
      )
    }
  }

  #follow(
    changes: Iterable<{
      readonly before: SettingEntry | undefined
      readonly after: SettingEntry | undefined
    }>
  ): void {
    let isNews = false
    const ofRoots: Array<Uint8Array> = []
    for (const { before, after } of changes) {
      const entry = after ?? before
      if (entry === undefined || !isTrust(entry)) continue
      isNews = true
      if (after === undefined) this.#held.delete(entry.key)
      else {
        this.#held.set(after.key, { entry: after, said: this.#statementOf(after) })
        ofRoots.push(...rootStatementIn(after))
      }
    }
    if (!isNews) return
    this.#digest = undefined
    if (ofRoots.length > 0) this.#options.hearOfRoots(ofRoots)
    this.#say(ofRoots.length > 0)
  }

  /** The roots of the mesh are others: who rests on whom may come out another way. */
  rootsChanged(): void {
    this.#say(true)
  }

  #say(isReadAnew: boolean): void {
    if (isReadAnew) {
      for (const [key, { entry }] of this.#held) {
        this.#held.set(key, { entry, said: this.#statementOf(entry) })
      }
    }
    this.#options.hear(
      Revocations.of(Array.from(this.#held.values()).flatMap(({ said }) => said ?? []))
    )
  }

  /** Its certificate says on whose word its signer is here. It was verified when the entry came in. */
  #statementOf({ bytes, setting }: SettingEntry): TrustStatement | undefined {
    const { cache, identity } = this.#options
    const opened = openEnvelope(bytes, {
      roots: identity.current.roots,
      now: setting.signedAt,
      kind: furtherKind,
      maxBytes: settingLimits.body + settingLimits.pastBytes + settingHeadBytes,
      skew: Number.POSITIVE_INFINITY,
      evenWithdrawn: true,
      expiredGrace: Number.POSITIVE_INFINITY,
      cache
    })
    if (Either.isLeft(opened)) return undefined
    const body = setting.body === undefined ? undefined : readBody(setting.body)
    if (body?._tag === "None") return undefined
    const { author, epoch, name, node, signedAt, signer, version, why } = setting
    return {
      ...{ name, signer, epoch, version, signedAt, why },
      issuers: opened.right.certificate.issuers,
      body: body?.value,
      author: `${author} on ${node}`
    }
  }
}

/** Records in one refusal. */
const mostShown = 4

/** What stands in a setting beside its body and its past. */
const settingHeadBytes = 16 * 1024
