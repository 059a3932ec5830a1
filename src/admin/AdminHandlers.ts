/** The admin API's endpoints, each one question to the `AdminSource`. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import { Effect, Layer } from "effect"
import { AdminApi } from "./AdminApi.ts"
import { NotReady } from "./AdminError.ts"
import { AdminSource } from "./AdminSource.ts"

const probes = HttpApiBuilder.group(AdminApi, "probes", (handlers) =>
  Effect.map(AdminSource, (source) =>
    handlers
      .handle("live", () => Effect.succeed({ live: true } as const))
      .handle("ready", () =>
        Effect.flatMap(source.status, ({ readiness, state }) => {
          const serving = {
            name: "serving",
            ready: state === "serving",
            detail: `the node is ${state}`
          }
          const items = [serving, ...readiness.filter(({ name }) => name !== "serving")]
          const missing = items.filter(({ ready }) => !ready)
          return missing.length === 0
            ? Effect.succeed({ ready: true, items })
            : new NotReady({
                code: "not_ready",
                message: `not ready: ${missing.map(({ name, detail }) => `${name} (${detail})`).join(", ")}`,
                hint: "Wait, or look at the item with `skein doctor`.",
                items
              })
        })
      )
      .handle("metrics", () => source.metrics)
  )
)

const views = HttpApiBuilder.group(AdminApi, "views", (handlers) =>
  Effect.map(AdminSource, (source) =>
    handlers
      .handle("status", () => source.status)
      .handle("members", () => source.members)
      .handle("peers", ({ urlParams: { all = false } }) => source.peers({ all }))
      .handle("services", () => source.services)
      .handle("endpoints", ({ path }) => source.endpoints(path.name))
      .handle("revoked", () => source.revoked)
      .handle("roots", () => source.roots)
      .handle("policy", ({ path }) => source.policy(path.name))
      .handle("actors", ({ urlParams }) => source.actors(urlParams))
      .handle("links", () => source.links)
  )
)

const access = HttpApiBuilder.group(AdminApi, "access", (handlers) =>
  Effect.map(AdminSource, ({ access }) =>
    handlers
      .handle("check", ({ urlParams }) => access.check(urlParams))
      .handle("lint", () => access.lint)
      .handle("suggest", ({ urlParams: { service } }) => access.suggest(service))
  )
)

// What was asked for is done though the asker goes away: a drain is not half a drain.
const whole = { uninterruptible: true }

const actions = HttpApiBuilder.group(AdminApi, "actions", (handlers) =>
  Effect.map(AdminSource, (source) =>
    handlers
      .handle("drain", () => source.drain, whole)
      .handle("leave", () => source.leave, whole)
      .handle("reload", () => source.reload, whole)
      .handle("invite", ({ payload }) => source.invite(payload))
      .handle("forget", ({ payload }) => source.forget(payload))
      .handle("revoke", ({ payload }) => source.revoke(payload))
      .handle("rotateRoot", ({ payload }) => source.rotateRoot(payload))
      .handle("finishRoot", ({ payload }) => source.finishRoot(payload))
  )
)

const settings = HttpApiBuilder.group(AdminApi, "settings", (handlers) =>
  Effect.map(AdminSource, (source) =>
    handlers
      .handle("list", ({ urlParams }) => source.settings(urlParams))
      .handle("history", ({ path }) => source.settingHistory(path))
      // It is set whole by itself; who goes away need not be waited for.
      .handle("change", ({ payload }) => source.changeSettings(payload))
      .handle("check", ({ payload }) => source.checkSettings(payload))
  )
)

export const adminHandlers = HttpApiBuilder.api(AdminApi).pipe(
  Layer.provide([probes, views, access, actions, settings])
)
