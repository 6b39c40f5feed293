"""The append, as a function of the database: one statement of its caller, one implicit transaction.

The lock on the stream's head row is the order of the log and the fence of the epoch. Everything that is
compared is read after the lock was had, each statement seeing what was committed before it.
"""

from __future__ import annotations

APPEND_EVENTS = """
create function public.append_events(
    p_tenant uuid,
    p_stream text,
    p_expected bigint,  -- null: any; 0: no such stream yet
    p_epoch integer,
    p_event_ids uuid[],
    p_types text[],
    p_schema_versions smallint[],
    p_occurred_at timestamptz[],
    p_media_ms bigint[],
    p_actor_kinds text[],
    p_actor_ids text[],
    p_causation_ids uuid[],
    p_correlation_ids uuid[],
    p_classifications text[],
    p_payloads bytea[],
    out outcome text,
    out first_version bigint,
    out last_version bigint,
    out recorded_at timestamptz,
    out head_version bigint,
    out head_epoch integer
) language plpgsql security invoker as $$
declare
    v_count constant integer := cardinality(p_event_ids);
    v_seals constant boolean := 'conversation.sealed' = any (p_types);
    v_exists boolean;
    v_sealed boolean;
    v_stored integer;
    v_last_stored integer;
    v_in_order boolean;
    v_written integer;
begin
    perform set_config('app.tenant', p_tenant::text, true);
    loop
        select s.version, s.epoch, s.sealed into head_version, head_epoch, v_sealed
            from public.streams s where s.tenant_id = p_tenant and s.stream_id = p_stream for update;
        v_exists := found;
        if not v_exists then
            head_version := 0;
            head_epoch := 0;
            v_sealed := false;
        end if;

        -- Which of the batch are stored already: nothing, all, a prefix, or something else.
        v_stored := 0;
        if v_exists then
            select count(*), max(u.i), min(e.version), max(e.version), max(e.recorded_at),
                   array_agg(e.version order by u.i) = array_agg(e.version order by e.version)
                into v_stored, v_last_stored, first_version, last_version, recorded_at, v_in_order
                from unnest(p_event_ids) with ordinality u (event_id, i)
                join public.events e
                  on e.tenant_id = p_tenant and e.stream_id = p_stream and e.event_id = u.event_id;
        end if;
        if v_stored > 0 and (v_last_stored <> v_stored or not v_in_order) then
            outcome := 'overlap';
            return;
        elsif v_stored = v_count then
            outcome := 'repeated';
            return;
        elsif v_sealed then
            outcome := 'sealed';
            return;
        elsif p_epoch < head_epoch then
            outcome := 'stale_epoch';
            return;
        elsif head_version <> p_expected + v_stored or (v_stored > 0 and first_version <> p_expected + 1) then
            outcome := 'conflict';
            return;
        end if;

        recorded_at := clock_timestamp();
        if v_exists then
            with head as (
                update public.streams s
                   set version = s.version + v_count - v_stored, epoch = p_epoch, sealed = v_seals
                 where s.tenant_id = p_tenant and s.stream_id = p_stream
                returning s.version - v_count as base
            )
            insert into public.events (
                tenant_id, stream_id, version, event_id, type, schema_version, occurred_at, recorded_at,
                media_ms, actor_kind, actor_id, causation_id, correlation_id, session_epoch,
                classification, payload, payload_sha256)
            select p_tenant, p_stream, head.base + u.i, u.event_id, u.type, u.schema_version, u.occurred_at,
                   append_events.recorded_at, u.media_ms, u.actor_kind, u.actor_id, u.causation_id,
                   u.correlation_id, p_epoch, u.classification, u.payload, sha256(u.payload)
              from head, unnest(
                    p_event_ids, p_types, p_schema_versions, p_occurred_at, p_media_ms, p_actor_kinds,
                    p_actor_ids, p_causation_ids, p_correlation_ids, p_classifications, p_payloads
                ) with ordinality u (
                    event_id, type, schema_version, occurred_at, media_ms, actor_kind, actor_id,
                    causation_id, correlation_id, classification, payload, i)
             where u.i > v_stored;
        else
            with head as (
                insert into public.streams (tenant_id, stream_id, version, epoch, sealed)
                values (p_tenant, p_stream, v_count, p_epoch, v_seals)
                on conflict do nothing
                returning 0::bigint as base
            )
            insert into public.events (
                tenant_id, stream_id, version, event_id, type, schema_version, occurred_at, recorded_at,
                media_ms, actor_kind, actor_id, causation_id, correlation_id, session_epoch,
                classification, payload, payload_sha256)
            select p_tenant, p_stream, head.base + u.i, u.event_id, u.type, u.schema_version, u.occurred_at,
                   append_events.recorded_at, u.media_ms, u.actor_kind, u.actor_id, u.causation_id,
                   u.correlation_id, p_epoch, u.classification, u.payload, sha256(u.payload)
              from head, unnest(
                    p_event_ids, p_types, p_schema_versions, p_occurred_at, p_media_ms, p_actor_kinds,
                    p_actor_ids, p_causation_ids, p_correlation_ids, p_classifications, p_payloads
                ) with ordinality u (
                    event_id, type, schema_version, occurred_at, media_ms, actor_kind, actor_id,
                    causation_id, correlation_id, classification, payload, i)
             where u.i > v_stored;
        end if;
        get diagnostics v_written = row_count;
        if v_written > 0 then
            outcome := 'appended';
            head_version := head_version + v_written;
            head_epoch := p_epoch;
            last_version := head_version;
            first_version := coalesce(first_version, head_version - v_written + 1);
            return;
        end if;
        -- Another writer made the stream between the look and the insert: its head row can be locked now.
    end loop;
end
$$
"""
