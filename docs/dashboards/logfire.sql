-- Queries for the explorer and the dashboards of Logfire. Each query is one statement; the comment above it is its name.

-- Time to first speech by agent, without failed turns; interrupted turns are listed separately
SELECT attributes->>'gen_ai.agent.name' AS agent,
       attributes->>'layercode.turn.interrupted' AS interrupted,
       count(*) AS turns,
       approx_percentile_cont((attributes->>'layercode.turn.ttfs_ms')::float, 0.5) AS p50_ms,
       approx_percentile_cont((attributes->>'layercode.turn.ttfs_ms')::float, 0.95) AS p95_ms,
       approx_percentile_cont((attributes->>'layercode.turn.ttfs_ms')::float, 0.99) AS p99_ms
FROM records
WHERE span_name LIKE 'turn %' AND attributes->>'layercode.turn.status' <> 'failed'
GROUP BY 1, 2;

-- Failed turns by error category, and what the caller heard instead
SELECT attributes->>'layercode.error.category' AS category, attributes->>'layercode.turn.impact' AS impact, count(*) AS turns
FROM records
WHERE span_name LIKE 'turn %' AND attributes->>'layercode.turn.status' = 'failed'
GROUP BY 1, 2
ORDER BY turns DESC;

-- Tokens and dollars by model and agent version; helpers and guards count for the models that they use
SELECT coalesce(chat.attributes->>'gen_ai.response.model', chat.attributes->>'gen_ai.request.model') AS model,
       turn.attributes->>'layercode.agent.version' AS version,
       sum((chat.attributes->>'gen_ai.usage.input_tokens')::bigint) AS input_tokens,
       sum((chat.attributes->>'gen_ai.usage.output_tokens')::bigint) AS output_tokens,
       sum((chat.attributes->>'operation.cost')::float) AS dollars
FROM records AS chat
JOIN records AS turn ON turn.trace_id = chat.trace_id AND turn.span_name LIKE 'turn %'
WHERE chat.span_name LIKE 'chat %'
GROUP BY 1, 2;

-- The slowest tools
SELECT attributes->>'gen_ai.tool.name' AS tool, count(*) AS calls, approx_percentile_cont(duration, 0.95) AS p95_seconds
FROM records
WHERE span_name LIKE 'execute_tool %'
GROUP BY 1
ORDER BY p95_seconds DESC;

-- The slowest turns of the last hour, with the ids of their traces
SELECT start_timestamp, trace_id, attributes->>'gen_ai.conversation.id' AS conversation,
       attributes->>'layercode.turn.id' AS turn, (attributes->>'layercode.turn.total_ms')::float AS total_ms,
       attributes->>'layercode.turn.retries' AS retries
FROM records
WHERE span_name LIKE 'turn %' AND start_timestamp > now() - interval '1 hour'
ORDER BY total_ms DESC
LIMIT 20;

-- Your own stages (turn.span) that called models: time, tokens and cost
SELECT span_name AS stage, attributes->>'gen_ai.response.model' AS model, count(*) AS runs,
       approx_percentile_cont(duration, 0.95) AS p95_seconds,
       sum((attributes->>'gen_ai.aggregated_usage.input_tokens')::bigint) AS input_tokens,
       sum((attributes->>'gen_ai.aggregated_usage.output_tokens')::bigint) AS output_tokens,
       sum((attributes->>'layercode.stage.cost')::float) AS dollars
FROM records
WHERE attributes->>'layercode.stage.requests' IS NOT NULL
GROUP BY 1, 2
ORDER BY p95_seconds DESC;

-- Refused requests, with the reason
SELECT attributes->>'http.response.status_code' AS status, attributes->>'url.path' AS path,
       attributes->>'layercode.refusal' AS reason, count(*) AS requests
FROM records
WHERE span_name LIKE 'refused %'
GROUP BY 1, 2, 3
ORDER BY requests DESC;
