"""The one GraphQL query of a look at Dagster: 50 KB and 0.3 s with 70 assets and 80 checks."""

QUERY = """
query GccPlatformWatch {
  assetNodes {
    assetKey { path }
    isMaterializable
    owners { ... on TeamAssetOwner { team } }
    freshnessStatusInfo { freshnessStatus }
    assetChecksOrError { ... on AssetChecks { checks {
      name
      executionForLatestMaterialization { status runId evaluation { severity description } } } } }
  }
  runsOrError(limit: 50) { ... on Runs { results {
    runId status jobName creationTime startTime endTime tags { key value } } } }
  workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
    __typename
    ... on PythonError { message }
    ... on RepositoryLocation { repositories {
      sensors { name sensorState { status ticks(limit: 1) { ...Tick } } }
      schedules { name scheduleState { status ticks(limit: 1) { ...Tick } } } } } } } } }
  instance { daemonHealth { allDaemonStatuses { daemonType required lastHeartbeatTime } } }
}
fragment Tick on InstigationTick { status error { message errorChain { error { message } } } }
"""
