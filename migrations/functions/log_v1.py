"""Reading by position.

The order is one for all tenants, and events are seen by their tenant alone. So the gate tells which event
stands where, and the reader's own rights show what the event says, one tenant at a time.
"""

from __future__ import annotations

LOG_COLUMNS = "position, tenant_id, stream_id, version"

LOG_FUNCTIONS = {
    "log_size()": """
        create function public.log_size() returns bigint
        language sql stable security definer set search_path = pg_catalog, pg_temp as $$
            select coalesce(max(l.position), 0) from public.log_index l
        $$
    """,
    "log_places(bigint, integer)": """
        create function public.log_places(p_after bigint, p_limit integer)
        returns table ("position" bigint, tenant_id uuid, stream_id text, version bigint)
        language sql stable security definer set search_path = pg_catalog, pg_temp as $$
            select l.position, l.tenant_id, l.stream_id, l.version from public.log_index l
            where l.position > p_after order by l.position limit p_limit
        $$
    """,
}

# In no order between tenants: the reader sorts. A place whose event is missing comes with nulls.
# Two indexes begin with the stream: a range in an order names the one by version, which equality does not.
READ_LOG = """
create function public.read_log(p_after bigint, p_limit integer)
returns table (
    "position" bigint, tenant_id uuid, stream_id text, version bigint, event_id uuid, type text,
    schema_version smallint, occurred_at timestamptz, recorded_at timestamptz, media_ms bigint,
    actor_kind text, actor_id text, causation_id uuid, correlation_id uuid, session_epoch integer,
    classification text, payload bytea, payload_sha256 bytea
) language plpgsql security invoker
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_tenant uuid;
    v_positions bigint[];
    v_streams text[];
    v_versions bigint[];
begin
    for v_tenant, v_positions, v_streams, v_versions in
        select p.tenant_id, array_agg(p.position), array_agg(p.stream_id), array_agg(p.version)
          from public.log_places(p_after, p_limit) p group by p.tenant_id
    loop
        perform set_config('app.tenant', v_tenant::text, true);
        return query
            select u.position, e.tenant_id, e.stream_id, e.version, e.event_id, e.type, e.schema_version,
                   e.occurred_at, e.recorded_at, e.media_ms, e.actor_kind, e.actor_id, e.causation_id,
                   e.correlation_id, e.session_epoch, e.classification, e.payload, e.payload_sha256
              from unnest(v_positions, v_streams, v_versions) u (position, stream_id, version)
              left join lateral (
                    select * from public.events e
                     where e.tenant_id = v_tenant and e.stream_id = u.stream_id
                       and e.version >= u.version and e.version <= u.version
                     order by e.version limit 1
                   ) e on true;
    end loop;
end
$$
"""
